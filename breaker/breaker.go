package breaker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Breaker refuses calls to a dependency that keeps failing. It is safe for concurrent use. A nil Breaker passes
// calls through.
type Breaker struct {
	set  atomic.Pointer[settings] // replaced by Reconfigure
	name string

	gen   atomic.Pointer[generation]
	tally tally

	// mu guards changes of state and all below it. Closed, a success never takes it; user code never runs under it.
	mu          sync.Mutex
	failedTries uint32 // recoveries that failed since the breaker was last closed: the cool-down doubles with each
	shadow      bool
	transitions [stateCount]uint32
	events      events
}

// New returns a closed breaker, or an error that names every field of c that cannot work.
func New(c Config) (*Breaker, error) {
	f := conf.Check("breaker.Config")
	c.check(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	b := newBreaker(newSettings(c), c.Name)
	telemetry.Attach(b.set.Load().scope, (*source)(b))
	return b, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(c Config) *Breaker {
	b, err := New(c)
	if err != nil {
		panic(err)
	}
	return b
}

func newBreaker(s *settings, name string) *Breaker {
	b := &Breaker{name: name}
	b.set.Store(s)
	g := s.newGeneration(Closed, s.now(), seed{})
	g.number = 1
	b.gen.Store(g)
	return b
}

// Config returns what the breaker goes by: the Config of New or the last Reconfigure, with the defaults in place of zeros, and without
// providers and Logger. That of a nil Breaker is the zero Config.
func (b *Breaker) Config() Config {
	if b == nil {
		return Config{}
	}
	c := b.set.Load().config()
	c.Name = b.name
	return c
}

// Do calls fn unless the breaker refuses the call, with an [*OpenError]; and judges the result. Most callers use Do.
//
// A result that says nothing about the dependency is ignored: when the caller cancelled, or a policy below refused.
// If fn panics or ends its goroutine, that is a failure, and the panic goes on with its own stack.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (v T, err error) {
	if b == nil && fn != nil {
		return fn(ctx)
	}
	var c call
	defer func() {
		if c.open { // a panic, or runtime.Goexit: seen without recover, so that the panic keeps its own stack
			c.abort()
		}
	}()
	if err = c.begin(ctx, b, fn == nil); err != nil {
		return v, err
	}
	v, err = fn(c.ctx)
	c.end(err)
	return v, err
}

// Wrap returns fn under the breaker: build a stack once, call it like the function it guards. It panics if fn is nil.
func Wrap[In, Out any](b *Breaker, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("breaker.Wrap: " + errNilFunc.Error())
	}
	if b == nil {
		return fn
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, b, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Run is Do for work that has only an error.
func (b *Breaker) Run(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		return fmt.Errorf("%s: %w", b.label(), errNilFunc)
	}
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// label is the breaker's name in errors.
func (b *Breaker) label() string {
	if b == nil {
		return "breaker"
	}
	return telemetry.Label("breaker", b.name)
}
