package holdfast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/holdfast-go/holdfast/internal/inorder"
	"github.com/holdfast-go/holdfast/retry"
)

// RegistryConfig says where a [Registry] has its stacks from.
type RegistryConfig struct {
	// File is the path of the document: see [Load]. Empty: there is none, and documents come by [Registry.Apply].
	File string

	// Decode makes of the document's text what [LoadValue] takes: of YAML, say. Default: it is JSON. Like the functions of
	// Setup it runs while no other reload can, and must not ask for one.
	Decode func(text []byte) (any, error)

	// Setup gives the policies what has no form in a document.
	Setup Setup

	// OnReload hears of each reload, good or bad: in order, one at a time, never under a lock.
	OnReload func(Reload)

	// Logger hears of each reload too: of what has changed, of each Finding, and of a document that cannot work. Nil: silent.
	Logger *slog.Logger
}

// Registry has stacks by their names, from a document that may change while they run. A stack that it hands out stays the one
// of its name: after a reload calls through it go by the new settings, while what its policies know is kept. It is safe for
// concurrent use.
//
// A policy of the new document goes on as that of the old one in the same stack that is of the same kind and name, the first as
// the first where there are several: its settings change, and its state stays, as its Reconfigure says: the breaker's state
// and window, the bulkhead's permits, queue and limit, what the hedge has learned, what the failover knows of its targets, the
// tokens of a budget. Policies may come, go, and change places. A call that is under way ends by what it began with.
//
// A document that cannot work changes nothing. A stack that is no longer in the document is not found any more, and goes on
// as it was for those who have it.
type Registry struct {
	c RegistryConfig

	byName atomic.Pointer[map[string]*Stack]

	mu      sync.Mutex // one reload at a time
	budgets map[string]*retry.Budget
	running map[string]*running
	last    uint64
	told    inorder.Queue[Reload]
	closed  bool

	signals chan os.Signal // nil: none are waited for
	done    chan struct{}
	waiting sync.WaitGroup
}

// NewRegistry reads the file and returns a registry of its stacks, or an error that names every fault of the document with its
// place.
func NewRegistry(c RegistryConfig) (*Registry, error) {
	r := &Registry{c: c, budgets: map[string]*retry.Budget{}, running: map[string]*running{}, done: make(chan struct{})}
	r.byName.Store(&map[string]*Stack{})
	if c.File == "" {
		return r, nil
	}
	if _, err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// MustNewRegistry is NewRegistry for package variables: it panics where NewRegistry returns an error.
func MustNewRegistry(c RegistryConfig) *Registry {
	r, err := NewRegistry(c)
	if err != nil {
		panic(err)
	}
	return r
}

// Stack returns the stack of that name, or an error that says which there are. It may be kept, or asked for by each call:
// that costs a look into a map. [Stack.Named] and [Stack.For] return it as it is at the moment.
func (r *Registry) Stack(name string) (*Stack, error) {
	stacks := *r.byName.Load()
	if s := stacks[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("holdfast.Registry: no stack %q: there are %s", name, listed(slices.Sorted(maps.Keys(stacks))))
}

// All returns the stacks by their names, in the order of these.
func (r *Registry) All() iter.Seq2[string, *Stack] {
	stacks := *r.byName.Load()
	return func(yield func(string, *Stack) bool) {
		for _, name := range slices.Sorted(maps.Keys(stacks)) {
			if !yield(name, stacks[name]) {
				return
			}
		}
	}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Reload reads the file again. On an error what runs is kept, as it is.
func (r *Registry) Reload() (Reload, error) {
	return r.apply(func() ([]byte, error) {
		if r.c.File == "" {
			return nil, errors.New(`RegistryConfig.File: "": want the path of a document`)
		}
		return readFile(r.c.File)
	})
}

// Apply is Reload with a document that comes from elsewhere. It is of the same form as the file.
func (r *Registry) Apply(document []byte) (Reload, error) {
	return r.apply(func() ([]byte, error) { return document, nil })
}

// mostRead is more than any document needs, and less than a process has: a path may lead anywhere.
const mostRead = 16 << 20

func readFile(path string) ([]byte, error) {
	if is, err := os.Stat(path); err == nil && is.Mode().Type()&fs.ModeNamedPipe != 0 { // to open one waits for a writer
		return nil, fmt.Errorf("%s: a named pipe: want a file that can be read again", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostRead+1))
	if len(data) > mostRead {
		return nil, fmt.Errorf("%s: more than %d MiB: want a document", path, mostRead>>20)
	}
	return data, err
}

// ReloadOn reloads the file on each of these signals; on SIGHUP, if none is given. It is waited for in a goroutine, which
// Close ends. What goes wrong is for OnReload and the Logger.
func (r *Registry) ReloadOn(signals ...os.Signal) {
	if len(signals) == 0 {
		signals = []os.Signal{syscall.SIGHUP}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.signals == nil {
		r.signals = make(chan os.Signal, 1) // one that comes during a reload is not lost
		r.waiting.Go(r.wait)
	}
	signal.Notify(r.signals, signals...)
}

func (r *Registry) wait() {
	for {
		select {
		case <-r.signals:
			r.Reload()
		case <-r.done:
			return
		}
	}
}

// Close ends waiting for signals, and what its failover groups do in the background; not from within OnReload on a signal. The
// stacks go on as they are. There is no reload after it.
func (r *Registry) Close() error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.done)
		if r.signals != nil {
			signal.Stop(r.signals)
		}
	}
	var all []Runner
	for _, x := range r.running {
		for _, p := range x.policies {
			all = append(all, p.Runner)
		}
	}
	r.mu.Unlock()
	r.waiting.Wait()
	closeAll(all...)
	return nil
}

// closeAll ends the work in the background of those that may have some.
func closeAll(all ...Runner) {
	for _, p := range all {
		if c, ok := p.(io.Closer); ok {
			c.Close()
		}
	}
}

// tell tells the log and the callback what happened.
func (r *Registry) tell() {
	r.told.Deliver(&r.mu, func(e Reload) {
		if l := r.c.Logger; l != nil {
			e.log(l)
		}
		if r.c.OnReload != nil {
			r.c.OnReload(e)
		}
	})
}

func (e Reload) log(l *slog.Logger) {
	ctx := context.Background()
	if e.Err != nil {
		l.LogAttrs(ctx, slog.LevelError, "stacks not reloaded", slog.Any("error", e.Err))
		return
	}
	l.LogAttrs(ctx, slog.LevelInfo, "stacks reloaded",
		slog.Any("added", e.Added), slog.Any("changed", e.Changed), slog.Any("removed", e.Removed), slog.Any("budgets", e.Budgets))
	for _, name := range slices.Sorted(maps.Keys(e.Findings)) {
		for _, f := range e.Findings[name] {
			l.LogAttrs(ctx, slog.LevelWarn, "stack has a finding", slog.String("stack", name), slog.String("finding", f.Error()))
		}
	}
}
