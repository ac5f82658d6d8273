package hedge

import (
	"context"
	"fmt"
	"reflect"
	"runtime"

	"github.com/holdfast-go/holdfast/internal/cause"
)

// call is one call: the race between its attempts, and what depends on the type of their result.
type call[T any] struct {
	race
	fn      func(context.Context) (T, error)
	discard func(T)
	value   T // the winner's; before there is one, that of the first attempt if it failed
}

// do makes a call.
func do[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), discard func(T)) (v T, err error) {
	if fn == nil {
		return v, fmt.Errorf("%s: %w", p.name(), errNilFunc)
	}
	c := &call[T]{fn: fn, discard: discard}
	return c.do(ctx, p, p.pace, nil)
}

// do makes the call. x is that of a Transport.
func (c *call[T]) do(ctx context.Context, p *Policy, at *pace, x *exchange) (v T, err error) {
	if ctx.Err() != nil {
		p.counts.ignored.Add()
		return v, cause.Of(p.label, ctx)
	}
	c.begin(ctx, p, at, x)
	defer c.abandon()
	c.start(&c.first, c)
	c.wait(c)
	return c.result()
}

// run is the goroutine of an attempt.
func (c *call[T]) run(a *runner) {
	var v T
	var err error
	inHand, kept, over := false, false, false
	defer func() {
		if !over {
			c.aborted(a, recover()) // nil: runtime.Goexit
		}
		if kept {
			return
		}
		defer a.own.CancelCause(lost)
		if inHand { // last of all: it may take its time, and others wait for what came before
			c.drop(v, err)
		}
	}()
	v, err = c.fn(a.ctx)
	inHand = true
	again := err != nil && c.wantsAnother(err)
	kept = !c.settle(a, v, err, again)
	c.goOn(a, c)
	over = true
}

// settle takes the result of an attempt, and reports whether nobody wants its value.
func (c *call[T]) settle(a *runner, v T, err error, again bool) (lost bool) {
	c.mu.Lock()
	verdict := c.settleLocked(a, err, again)
	before, hadOne := c.value, c.first.ended && c.first.err != nil && a != &c.first
	if verdict == kept {
		c.value = v
	}
	firstErr := c.first.err
	c.mu.Unlock()
	if verdict != late && err != nil {
		c.spoken(a, c.outcomeOf(err))
	}
	if verdict == kept && err == nil {
		c.decided()
		if hadOne {
			c.dropFirst(before, firstErr)
		}
	}
	return verdict != kept
}

// dropFirst is drop for the value of the first attempt, which was kept when it had failed.
func (c *call[T]) dropFirst(v T, err error) {
	defer c.first.own.CancelCause(lost)
	c.drop(v, err)
}

// drop hands a value that nobody gets to discard. A panic of discard's has no caller left to reach: it is logged.
func (c *call[T]) drop(v T, err error) {
	if c.discard == nil || err != nil && reflect.ValueOf(&v).Elem().IsZero() {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.logPanic("discard panicked", r)
		}
	}()
	c.discard(v)
}

// result is what the caller gets.
func (c *call[T]) result() (v T, err error) {
	c.mu.Lock()
	state, value, firstErr := c.state, c.value, c.first.err
	c.mu.Unlock()
	err = c.end(state)
	switch state {
	case won:
		c.deposit(value)
		return value, nil
	case failed:
		return value, err
	}
	switch { // the first attempt had failed, and that was not the end
	case firstErr == nil:
	case c.discard == nil:
		c.dropFirst(value, firstErr)
	default:
		go c.dropFirst(value, firstErr) // the caller waits for nobody
	}
	switch {
	case state == left:
		return v, err
	case c.panic == nil:
		runtime.Goexit()
	}
	panic(c.panic)
}

// deposit tells the Budget of a success. If that panics, the caller gets no value.
func (c *call[T]) deposit(v T) {
	b := c.p.cfg.Budget
	if b == nil {
		return
	}
	told := false
	defer func() {
		if !told {
			go c.drop(v, nil)
		}
	}()
	b.Deposit()
	told = true
}
