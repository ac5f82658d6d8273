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
	return c.do(ctx, p, p.set.Load(), p.pace, nil)
}

// do makes the call, by set. x is that of a Transport.
func (c *call[T]) do(ctx context.Context, p *Policy, set *settings, at *pace, x *exchange) (v T, err error) {
	if ctx.Err() != nil {
		p.counts.ignored.Add()
		return v, cause.Of(p.label, ctx)
	}
	c.begin(ctx, p, set, at, x)
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
		defer c.cancel(a)
		if inHand { // last of all: it may take its time, and others wait for what came before
			c.drop(v, err)
		}
	}()
	v, err = c.fn(a.ctx)
	inHand = true
	again := err != nil && c.wantsAnother(err)
	s := c.settle(a, v, err, again) // from here on it is clear whose value it is, whatever panics
	kept = s.verdict == keep
	inHand = !kept
	c.follow(a, err, s)
	c.goOn(a, c)
	over = true
}

// settled is what became of an attempt's result, and of the value that was kept before it.
type settled[T any] struct {
	verdict verdict
	before  T // of the first attempt, which had failed; nobody gets it now
	hadOne  bool
	err     error // that came with it
}

// settle takes the result of an attempt. No code of the user's runs here.
func (c *call[T]) settle(a *runner, v T, err error, again bool) (s settled[T]) {
	gone := err != nil && c.gone()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.verdict = c.settleLocked(a, err, again, gone)
	if s.verdict == keep {
		if err == nil {
			s.before, s.hadOne, s.err = c.value, c.first.ended && c.first.err != nil, c.first.err
		}
		c.value = v
	}
	return s
}

// follow is what follows from that, for all but the race.
func (c *call[T]) follow(a *runner, err error, s settled[T]) {
	switch {
	case s.verdict == late:
	case err != nil:
		c.spoken(a, c.outcomeOf(err), err)
	default:
		if s.hadOne {
			defer c.dropFirst(s.before, s.err)
		}
		c.decided()
	}
}

// dropFirst is drop for the value of the first attempt, which was kept when it had failed.
func (c *call[T]) dropFirst(v T, err error) {
	defer c.cancel(&c.first)
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
	handed := false
	defer func() {
		if !handed && (state == won || firstErr != nil) { // nobody gets it: for what the state is, or a span or the Budget panicked
			c.dropAside(value, firstErr)
		}
	}()
	err = c.end(state)
	if state == won && c.set.Budget != nil {
		c.set.Budget.Deposit()
	}
	switch {
	case state == won, state == failed:
		handed = true
		return value, err
	case state == left:
		return v, err
	case c.panic == nil:
		runtime.Goexit()
	}
	panic(c.panic)
}

// dropAside is drop for the value that was kept; the caller does not wait for that.
func (c *call[T]) dropAside(v T, err error) {
	a := c.winner
	if a == nil {
		a = &c.first
	} else {
		err = nil
	}
	if c.discard == nil {
		c.cancel(a)
		return
	}
	go func() {
		defer c.cancel(a)
		c.drop(v, err)
	}()
}
