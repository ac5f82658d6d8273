package failover

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Lease is a target for work that is not a function, from [Group.Pick]. Give it back with Done. It may be copied.
type Lease[T any] struct {
	Name  string // of the target
	Value T

	slip   *slip
	serial uint64
}

// slip is the lease itself. It is used again for the next one under another serial number, so that a lease costs no
// allocation, and yet a second Done, of a copy too, finds that it is spent.
type slip struct {
	serial atomic.Uint64
	set    *settings // of the group that it is of
	t      *target
	began  time.Duration
	trial  bool
}

var slips = sync.Pool{New: func() any { return new(slip) }}

// Pick chooses a target for work that is not a function. It returns a Lease or a [*NoTargetError]; or, if ctx was done
// before, an error that wraps its cause. The result goes to [Lease.Done], once the work is done. Where the work is a function,
// use [Do]: it cannot forget, and tries another target. A nil Group has a Lease of the zero T.
func (g *Group[T]) Pick(ctx context.Context) (Lease[T], error) {
	if g == nil {
		return Lease[T]{}, nil
	}
	if ctx.Err() != nil {
		g.counts.ignored.Add(1)
		return Lease[T]{}, cause.Of(g.label, ctx)
	}
	c := call{g: &g.core, ctx: ctx}
	if err := c.only(); err != nil {
		return Lease[T]{}, err
	}
	s := slips.Get().(*slip)
	s.set, s.t, s.began, s.trial = c.set, c.t, c.began, c.trial
	return Lease[T]{c.t.name, valueOf[T](c.t), s, s.serial.Load()}, nil
}

// only chooses the target of a call that has one attempt. Should OnChange or Resolve panic, that was the call.
func (c *call) only() error {
	over := false
	defer func() {
		if !over {
			c.abort()
		}
	}()
	err := c.first()
	over = true
	return err
}

// Done gives the lease back with the result of the work. The first Done counts; a second does nothing, and so does that of
// the zero Lease. A Lease that is dropped without Done counts as a call under way for ever.
func (l Lease[T]) Done(err error) {
	s := l.slip
	if s == nil || !s.serial.CompareAndSwap(l.serial, l.serial+1) {
		return
	}
	set, t, began, trial := s.set, s.t, s.began, s.trial
	s.set, s.t = nil, nil
	slips.Put(s)
	set.group.settle(set, t, began, trial, err)
}

// settle takes the result of a lease.
func (g *core) settle(set *settings, t *target, began time.Duration, trial bool, err error) {
	if err == nil {
		defer set.deposit()
		g.counts.atOnce.Add()
		g.wentOn(set, t, began, trial)
		return
	}
	judged := false
	defer func() {
		if !judged { // CountIf, or the error's methods, panicked
			g.counts.failed.Add(1)
			g.counts.attempt(1, telemetry.Failure)
			g.wentWrong(set, t, began, telemetry.ErrorType(telemetry.ErrAborted), trial)
		}
	}()
	canceled, refused := errors.Is(err, context.Canceled), failure.Refused(err)
	counts, word := !canceled && !refused && set.countIf(err), telemetry.ErrorType(err)
	timeout := errors.Is(err, context.DeadlineExceeded)
	judged = true
	switch {
	case canceled:
		g.counts.ignored.Add(1)
		g.counts.attempt(1, telemetry.Canceled)
		g.saysNothing(t, began, trial)
		return
	case refused:
		g.counts.attempt(1, telemetry.Refused)
		g.turnedAway(set, t, began, trial)
	case !counts:
		g.counts.attempt(1, telemetry.Failure)
		g.saysNothing(t, began, trial)
	default:
		g.counts.attempt(1, outcomeIf(timeout))
		defer g.wentWrong(set, t, began, word, trial)
	}
	g.counts.failed.Add(1)
}

func outcomeIf(timeout bool) telemetry.Outcome {
	if timeout {
		return telemetry.Timeout
	}
	return telemetry.Failure
}
