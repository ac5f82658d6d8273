package hedge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Policy starts another attempt of a call that takes long, and takes the first success. It is safe for concurrent use;
// one serves any number of functions and result types, as long as they are about equally fast. A nil Policy passes calls
// through.
type Policy struct {
	set    atomic.Pointer[settings] // replaced by Reconfigure
	label  string                   // "hedge search"
	scope  *telemetry.Scope
	start  time.Time // what all times inside are counted from
	pace   *pace     // of the function doors
	hosts  *hosts    // of Transports
	load   load
	counts counts

	changing sync.Mutex // held by Reconfigure
}

// New returns a policy, or an error that names every field of c that cannot work.
func New(c Config) (*Policy, error) {
	f := conf.Check("hedge.Config")
	c.check(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	p := &Policy{label: telemetry.Label("hedge", c.Name), start: time.Now()}
	set := &settings{Config: c.withDefaults()}
	p.set.Store(set)
	p.scope = telemetry.NewScope(telemetry.Options{
		Type: "hedge", Name: c.Name,
		TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger,
	})
	p.load.credit = firstCredit
	p.pace = newPace(set, &p.load)
	p.hosts = newHosts(p)
	telemetry.Attach(p.scope, (*source)(p))
	return p, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(c Config) *Policy {
	p, err := New(c)
	if err != nil {
		panic(err)
	}
	return p
}

// Config returns what the policy goes by: the Config of New or the last Reconfigure, with the defaults in place of zeros; a Delay
// of zero is a learned one. That of a nil Policy is the zero Config.
func (p *Policy) Config() Config {
	if p == nil {
		return Config{}
	}
	return p.set.Load().Config
}

// Do calls fn, and if that takes long calls it again beside the first, and returns the first success. The attempts that
// lose are cancelled; [context.Cause] of their context is [ErrLost]. What they return is dropped: if it has to be closed, use
// [DoDiscard]. A failure never beats an attempt that is still under way. If all fail, the error is that of the first, with
// the others behind it in an [*Error], and the value is the first's.
//
// fn must be safe to run twice at once, and is run in goroutines of its own: when ctx ends, Do returns, whether or not fn
// heeds it. A panic in fn reaches the caller as a [*PanicError].
//
// The context of the attempt that won is not cancelled when Do returns, so a body or rows may be read under it.
func Do[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error)) (T, error) {
	return DoDiscard(ctx, p, fn, nil)
}

// DoDiscard is Do for values that have to be closed: discard gets each value that is not returned, once, as soon as it is
// there, which may be after DoDiscard has returned; in the attempt's goroutine, and so several may run at once. A value that
// came with an error is one of them unless it is the zero value.
func DoDiscard[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	if p == nil && fn != nil {
		return fn(ctx)
	}
	return do(ctx, p, fn, discard)
}

// Wrap returns fn under the policy: build a stack once, call it like the function it guards. It panics if fn is nil.
func Wrap[In, Out any](p *Policy, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("hedge.Wrap: " + errNilFunc.Error())
	}
	if p == nil {
		return fn
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, p, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Run is Do for work that has only an error. fn must be safe to run twice at once.
func (p *Policy) Run(ctx context.Context, fn func(context.Context) error) error {
	if p == nil && fn != nil {
		return fn(ctx)
	}
	if fn == nil {
		return fmt.Errorf("%s: %w", p.name(), errNilFunc)
	}
	_, err := Do(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// AttemptFrom returns which attempt of its call the context belongs to: 1 for the first, and where there is no hedge.
func AttemptFrom(ctx context.Context) int { return attempt.From(ctx) }

var errNilFunc = errors.New("fn is nil")

func (p *Policy) name() string {
	if p == nil {
		return "hedge"
	}
	return p.label
}

// now is the time since the policy was made. It reads one clock where time.Now reads two.
func (p *Policy) now() time.Duration { return time.Since(p.start) }
