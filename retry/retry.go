package retry

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Policy retries calls. It is safe for concurrent use; one serves any number of functions and result
// types. A nil Policy passes calls through.
type Policy struct {
	set    atomic.Pointer[settings] // replaced by Reconfigure; a call goes by those that it began with
	label  string                   // "retry payments"
	scope  *telemetry.Scope
	counts counts
}

// New returns a policy, or an error that names every field of c that cannot work.
func New(c Config) (*Policy, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &Policy{label: telemetry.Label("retry", c.Name)}
	p.set.Store(c.settings())
	p.scope = telemetry.NewScope(telemetry.Options{
		Type: "retry", Name: c.Name,
		TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger,
	})
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

// Config returns what the policy goes by: the Config of New or the last Reconfigure, with the defaults in place of zeros. That of a nil Policy is the zero Config.
func (p *Policy) Config() Config {
	if p == nil {
		return Config{}
	}
	return p.set.Load().given
}

// Do calls fn, and again while it fails and the policy allows. It returns the first success; else the value and the
// error of the last attempt, the error as an [*Error] (the caller's own cancellation of a first attempt as it is).
// Attempts follow one another: fn never runs twice at once. Most callers use Do.
//
// The context of an attempt that succeeded is not cancelled when Do returns, so a body or rows may be read under it.
func Do[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error)) (T, error) {
	if p == nil && fn != nil {
		return fn(ctx)
	}
	var c call
	if err := c.begin(ctx, p, fn == nil); err != nil {
		var none T
		return none, err
	}
	return run(&c, fn, nil)
}

// Wrap returns fn under the policy: build a stack once, call it like the function it guards. It panics if fn is nil.
func Wrap[In, Out any](p *Policy, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("retry.Wrap: " + errNilFunc.Error())
	}
	if p == nil {
		return fn
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, p, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Run is Do for work that has only an error.
func (p *Policy) Run(ctx context.Context, fn func(context.Context) error) error {
	if p == nil && fn != nil {
		return fn(ctx)
	}
	var c call
	if err := c.begin(ctx, p, fn == nil); err != nil {
		return err
	}
	_, err := run(&c, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, nil)
	return err
}

var errNilFunc = errors.New("fn is nil")

// run is the loop around the attempts. drop, if not nil, gets each value that is not returned.
func run[T any](c *call, fn func(context.Context) (T, error), drop func(T)) (v T, err error) {
	over := false
	defer func() {
		if !over { // a panic, or runtime.Goexit: seen without recover, so that the panic keeps its own stack
			defer c.abort()
			if c.inHand && drop != nil {
				drop(v) // it was a callback that panicked
			}
		}
	}()
	for {
		v, err = fn(c.startAttempt())
		if err == nil {
			c.succeed()
			over = true
			return v, nil
		}
		c.inHand = true
		if over, err = c.fail(err); over {
			return v, err
		}
		if drop != nil { // before the delay, so that its connection can be used meanwhile
			c.inHand = false
			drop(v)
			var none T
			v = none
		}
		if err = c.pause(); err != nil {
			over = true
			return v, err
		}
		c.inHand = false
	}
}
