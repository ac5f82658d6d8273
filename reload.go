package holdfast

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Reload is what came of a document that a [Registry] was given.
type Reload struct {
	Number uint64 // of the reload, from 1
	At     time.Time

	// The names of stacks, in order. One is changed if the document says something else of it; the rest was not touched.
	Added, Changed, Removed []string

	// Budgets are the names of those that are new, or have other settings. The stacks that share them were not touched for it.
	Budgets []string

	// Findings are what [Stack.Check] says of the stacks that were added or changed.
	Findings map[string][]Finding

	// Err says why nothing was changed: every fault of the document, with its place.
	Err error
}

// running is a stack of the registry, and of what it was made.
type running struct {
	stack    *Stack // live
	text     []byte // of the document
	policies []runningPolicy
	gone     bool // from the document
}

type runningPolicy struct {
	Runner
	kind, name string
}

// apply gives the registry the document that get returns.
func (r *Registry) apply(get func() ([]byte, error)) (Reload, error) {
	e, dropped := r.applyAlone(get)
	closeAll(dropped...)
	r.tell()
	return e, e.Err
}

func (r *Registry) applyAlone(get func() ([]byte, error)) (Reload, []Runner) {
	r.mu.Lock()
	defer r.mu.Unlock() // also when Decode or Setup panics: nothing is changed by then
	e, dropped := r.applyLocked(get)
	r.told.Put(e)
	return e, dropped
}

func (r *Registry) applyLocked(get func() ([]byte, error)) (e Reload, dropped []Runner) {
	r.last++
	e = Reload{Number: r.last, At: time.Now()}
	d, err := r.read(get)
	if err == nil {
		err = r.handlers(d)
	}
	if err != nil {
		e.Err = err
		return e, nil
	}
	var errs []error
	var changeErr error
	e.Budgets, changeErr = r.changeBudgets(d)
	errs = append(errs, changeErr)
	for _, name := range slices.Sorted(maps.Keys(d.stacks)) {
		x := r.running[name]
		switch known := x != nil && !x.gone; {
		case known && bytes.Equal(x.text, d.stacks[name].text):
			continue
		case known:
			e.Changed = append(e.Changed, name)
		default:
			e.Added = append(e.Added, name)
		}
		if x == nil {
			x = &running{stack: &Stack{live: &cell{reload: &r.mu}}}
			r.running[name] = x
		}
		unused, err := x.follow(d.stacks[name])
		dropped, errs = append(dropped, unused...), append(errs, err)
		if found := x.stack.Check(); len(found) > 0 {
			if e.Findings == nil {
				e.Findings = map[string][]Finding{}
			}
			e.Findings[name] = found
		}
	}
	e.Removed = r.removeLocked(d)
	e.Err = errors.Join(errs...)
	r.publishLocked()
	return e, dropped
}

func (r *Registry) read(get func() ([]byte, error)) (*document, error) {
	if r.closed {
		return nil, errors.New("holdfast.Registry: closed")
	}
	data, err := get()
	if err != nil {
		return nil, fmt.Errorf("holdfast.Registry: %w", err)
	}
	if r.c.Decode != nil {
		decoded, err := r.c.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("the document: %w", err)
		}
		if data, err = marshal(decoded); err != nil {
			return nil, err
		}
	}
	return parse(data, r.c.Setup, r.budgets)
}

// handlers returns the faults of what would be around handlers.
func (r *Registry) handlers(d *document) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d.stacks)) {
		if x := r.running[name]; x != nil && x.stack.live.handles {
			errs = append(errs, d.stacks[name].repeats())
		}
	}
	return errors.Join(errs...)
}

// repeats is an error if the stack would do something twice, and is around a handler.
func (x *draft) repeats() error {
	var errs []error
	for _, p := range x.parts {
		if p.kind == "retry" || p.kind == "hedge" {
			errs = append(errs, fmt.Errorf("%s: want none, as the stack is around an http.Handler: a request can be answered once", p.at))
		}
	}
	return errors.Join(errs...)
}

// changeBudgets gives those that are there their settings. Those that are not in the document any more are kept, as stacks are,
// should they come back. It returns the names of those that are new or changed.
func (r *Registry) changeBudgets(d *document) (changed []string, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d.shared)) {
		b := d.shared[name]
		was := b.Config()
		if err := b.Reconfigure(d.budgets[name]); err != nil {
			errs = append(errs, under("budgets."+place(name), err))
		}
		if r.budgets[name] == nil || b.Config() != was {
			changed = append(changed, name)
		}
		r.budgets[name] = b
	}
	return changed, errors.Join(errs...)
}

// follow makes a running stack that of the draft. It returns the policies that are not in it any more.
func (x *running) follow(d *draft) (unused []Runner, err error) {
	old, next := slices.Clone(x.policies), make([]runningPolicy, 0, len(d.parts))
	policies := make([]Runner, 0, len(d.parts))
	var errs []error
	for _, p := range d.parts {
		i := slices.IndexFunc(old, func(o runningPolicy) bool { return o.kind == p.kind && o.name == p.name })
		var policy Runner
		var err error
		if i >= 0 {
			policy = old[i].Runner
			old = slices.Delete(old, i, i+1)
			err = p.change(policy)
		} else {
			policy, err = p.make()
		}
		if err != nil {
			errs = append(errs, under(p.at, err))
		}
		if policy != nil {
			next = append(next, runningPolicy{policy, p.kind, p.name})
			policies = append(policies, policy)
		}
	}
	if x.stack.live.now.Load() == nil || !slices.Equal(next, x.policies) {
		s, err := NewStack(policies...)
		errs = append(errs, err)
		x.stack.live.now.Store(s.Named(d.name))
	}
	x.policies, x.text, x.gone = next, d.text, false
	for _, o := range old {
		unused = append(unused, o.Runner)
	}
	return unused, errors.Join(errs...)
}

// removeLocked marks the stacks that are not in the document. They are kept, should they come back.
func (r *Registry) removeLocked(d *document) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(r.running)) {
		if x := r.running[name]; d.stacks[name] == nil && !x.gone {
			x.gone = true
			names = append(names, name)
		}
	}
	return names
}

func (r *Registry) publishLocked() {
	stacks := make(map[string]*Stack, len(r.running))
	for name, x := range r.running {
		if !x.gone {
			stacks[name] = x.stack
		}
	}
	r.byName.Store(&stacks)
}
