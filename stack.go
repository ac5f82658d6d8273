package holdfast

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// Runner runs work under a policy. All policies of holdfast are Runners, and so may yours be. (A failover.Group becomes one
// by [OneOf].)
type Runner interface {
	Run(ctx context.Context, fn func(context.Context) error) error
}

// Stack is policies around one another, put together at run time. It is immutable, unless it is one of a [Registry], and safe
// for concurrent use. A nil Stack passes calls through.
//
// Nested by hand, or by each policy's Wrap, the same costs no allocation; a Stack costs up to two a call: one
// in Run and Wrap, and one if fn captures something, which then is on the heap. In return it can say what it does
// ([Stack.String], [Stack.Describe]) and what is wrong with it ([Stack.Check]).
type Stack struct {
	name    string
	layers  []layer
	traffic Traffic
	live    *cell // not nil: it stands for the stack in there
}

// layer is one policy. Those that Do has to know by their type, because their attempts run beside each other or for speed,
// are there as such.
type layer struct {
	kind     kind
	retry    *retry.Policy
	breaker  *breaker.Breaker
	bulkhead *bulkhead.Bulkhead
	hedge    *hedge.Policy
	live     *Stack
	other    Runner
}

// kind is what a layer is.
type kind uint8

const (
	ofOther kind = iota
	ofRetry
	ofBreaker
	ofBulkhead
	ofHedge
	ofLive
)

// NewStack returns the policies as a stack, the outermost first. A Stack among them stands for its policies. It returns an
// error that names every layer that cannot work there: what [Stack.Check] finds and no run could do without harm.
func NewStack(policies ...Runner) (*Stack, error) {
	s := &Stack{layers: make([]layer, 0, len(policies))}
	var errs []error
	for i, p := range policies {
		if inner, ok := p.(*Stack); ok {
			s.layers = append(s.layers, inner.asLayers()...)
			continue
		}
		l, err := newLayer(p)
		if err != nil {
			errs = append(errs, fmt.Errorf("holdfast.NewStack: policy %d: %w", i+1, err))
			continue
		}
		s.layers = append(s.layers, l)
	}
	whole := len(errs) == 0
	for _, f := range s.Check() {
		if f.Fatal {
			errs = append(errs, f)
		}
	}
	if !whole {
		return nil, errors.Join(errs...)
	}
	return s, errors.Join(errs...)
}

// MustStack is NewStack for package variables: it panics where NewStack returns an error.
func MustStack(policies ...Runner) *Stack {
	s, err := NewStack(policies...)
	if err != nil {
		panic(err)
	}
	return s
}

// asLayers is the stack as a part of another.
func (s *Stack) asLayers() []layer {
	switch {
	case s == nil:
		return nil
	case s.live != nil:
		return []layer{{kind: ofLive, live: s}}
	default:
		return s.layers
	}
}

func newLayer(p Runner) (layer, error) {
	switch p := p.(type) {
	case nil:
		return layer{}, errors.New("nil: want a policy")
	case *retry.Policy:
		return layer{kind: ofRetry, retry: p}, nil
	case *breaker.Breaker:
		return layer{kind: ofBreaker, breaker: p}, nil
	case *bulkhead.Bulkhead:
		return layer{kind: ofBulkhead, bulkhead: p}, nil
	case *hedge.Policy:
		return layer{kind: ofHedge, hedge: p}, nil
	default:
		if v := reflect.ValueOf(p); (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil() {
			return layer{}, fmt.Errorf("a nil %T: want a policy", p)
		}
		return layer{other: p}, nil
	}
}

// Named returns the stack under a name, for String and Findings.
func (s *Stack) Named(name string) *Stack {
	if s == nil {
		return nil
	}
	named := *s.current()
	named.name = name
	return &named
}

// Close ends what the policies of the stack do in the background: the probes and lookups of a group of targets, say. Calls go
// on as before. It leaves the policies of a [Registry] alone, which ends theirs.
func (s *Stack) Close() error {
	if s == nil {
		return nil
	}
	for i := range s.layers {
		closeAll(s.layers[i].other)
	}
	return nil
}

// Do calls fn under the stack. Where fn is run several times, each attempt's value is its own: the one returned is that of
// the attempt that counted, also where attempts run beside each other.
func Do[T any](ctx context.Context, s *Stack, fn func(context.Context) (T, error)) (T, error) {
	return DoDiscard(ctx, s, fn, nil)
}

// DoDiscard is Do for values that have to be closed: discard gets the values of attempts that ran beside another and were not
// returned, each once; of those that a retry, a group of targets ([OneOf]) or a Runner that is not of holdfast has followed by
// another; and that which nobody gets because a policy's callback has panicked. A value that came with an error is one of them
// unless it is the zero value.
func DoDiscard[T any](ctx context.Context, s *Stack, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	if fn == nil {
		var none T
		return none, fmt.Errorf("%s: %w", s.label(), errNilFunc)
	}
	if s == nil {
		return fn(ctx)
	}
	return through(ctx, s.current().layers, fn, discard)
}

// Wrap returns fn under the stack. It panics if fn is nil.
func Wrap[In, Out any](s *Stack, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("holdfast.Wrap: " + errNilFunc.Error())
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, s, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Run is Do for work that has only an error. With it a Stack is a Runner, and so may be a layer of another.
func (s *Stack) Run(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		return fmt.Errorf("%s: %w", s.label(), errNilFunc)
	}
	_, err := Do(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

var errNilFunc = errors.New("fn is nil")

func (s *Stack) label() string {
	if s = s.current(); s == nil || s.name == "" {
		return "stack"
	}
	return "stack " + s.name
}

// through calls fn under these layers.
func through[T any](ctx context.Context, ls []layer, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	if len(ls) == 0 {
		return fn(ctx)
	}
	l, below := &ls[0], ls[1:]
	switch l.kind {
	case ofRetry:
		if discard != nil {
			return throughOther(ctx, l.retry, below, fn, discard) // it drops what failed
		}
		return retry.Do(ctx, l.retry, func(ctx context.Context) (T, error) { return through(ctx, below, fn, discard) })
	case ofBreaker:
		if discard != nil {
			return throughBreaker(ctx, l.breaker, below, fn, discard)
		}
		return breaker.Do(ctx, l.breaker, func(ctx context.Context) (T, error) { return through(ctx, below, fn, discard) })
	case ofBulkhead:
		if discard != nil {
			return throughBulkhead(ctx, l.bulkhead, below, fn, discard)
		}
		return bulkhead.Do(ctx, l.bulkhead, func(ctx context.Context) (T, error) { return through(ctx, below, fn, discard) })
	case ofLive:
		return DoDiscard(ctx, l.live, func(ctx context.Context) (T, error) { return through(ctx, below, fn, discard) }, discard)
	case ofHedge:
		return throughHedge(ctx, l.hedge, below, fn, discard)
	default:
		return throughOther(ctx, l.other, below, fn, discard)
	}
}

func throughHedge[T any](ctx context.Context, p *hedge.Policy, below []layer, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	return hedge.DoDiscard(ctx, p, func(ctx context.Context) (T, error) { return through(ctx, below, fn, discard) }, discard)
}
