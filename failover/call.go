package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is the state of one call. It lives on the caller's stack and is kept small: a success at once, which is nearly every
// call, makes no allocation.
type call struct {
	g        *core
	ctx      context.Context // the caller's, under the call's span
	t        *target         // of the attempt under way or last made
	began    time.Duration   // that attempt
	number   int             // its number
	running  bool            // it is under way
	trial    bool            // it finds out whether the target is well again
	inHand   bool            // its value is, and it failed
	careful  bool            // it must not be repeated: see Transport
	exchange *exchange       // in a Transport
	shared   *attempt.Shared // with the other attempts of a hedge around it; nil: there is none
	limited  *deadline.Context
	tel      *telemetry.Call // nil: nobody looks
	span     telemetry.Attempt
	tried    []TargetError // attempts that failed
	visited  []*state      // their targets
}

// begin checks what can be checked before a target is chosen.
func (c *call) begin(ctx context.Context, g *core, nilFunc bool) error {
	if nilFunc {
		return fmt.Errorf("%s: %w", g.name(), errNilFunc)
	}
	if ctx.Err() != nil {
		g.counts.ignored.Add(1)
		return cause.Of(g.label, ctx)
	}
	c.g, c.ctx = g, ctx
	if g.scope.Active(ctx) {
		c.ctx, c.tel = g.scope.StartCall(ctx)
	}
	return nil
}

// run is the loop around the attempts. drop, if not nil, gets each value that is not returned.
func run[T, R any](c *call, fn func(context.Context, T) (R, error), drop func(R)) (v R, err error) {
	over := false
	defer func() {
		if !over { // a panic, or runtime.Goexit: seen without recover, so that the panic keeps its own stack
			defer c.abort()
			if c.inHand && drop != nil {
				drop(v) // it was a callback that panicked
			}
		}
	}()
	if err = c.first(); err != nil {
		over = true
		return v, err
	}
	for {
		v, err = fn(c.attemptContext(), valueOf[T](c.t))
		if err == nil {
			c.inHand = true
			c.succeed()
			over = true
			return v, nil
		}
		c.inHand = true
		if over, err = c.fail(err); over {
			return v, err
		}
		c.inHand = false
		if drop != nil {
			drop(v)
		}
		var none R
		v = none
	}
}

// first chooses the target of the first attempt.
func (c *call) first() error {
	if c.g.finder.find != nil {
		if err := c.g.await(c.ctx); err != nil {
			return c.unresolved(err)
		}
	}
	now := c.g.now()
	c.shared = attempt.SharedFrom(c.ctx)
	t, left := c.g.pick(c.ctx, now, c.shared, &c.trial, c.careful)
	if t == nil {
		c.g.counts.refused.Add(1)
		c.tel.End(c.ctx, telemetry.Refused, left, 0)
		return left
	}
	if c.trial { // not before its target was ready for one: another goroutine, whose clock was ahead, may have seen to that
		now = c.g.now()
	}
	c.start(t, now)
	return nil
}

// unresolved ends a call for which there are no targets yet.
func (c *call) unresolved(err error) error {
	outcome, count := telemetry.Refused, &c.g.counts.refused
	if c.ctx.Err() != nil {
		err, count = cause.Of(c.g.label, c.ctx), &c.g.counts.ignored
		outcome = c.ended()
	} else {
		err = &Error{Name: c.g.set.name, Reason: err}
	}
	count.Add(1)
	c.tel.End(c.ctx, outcome, err, 0)
	return err
}

// start begins an attempt.
func (c *call) start(t *target, now time.Duration) {
	c.t, c.number, c.running, c.began = t, c.number+1, true, now
	if t.inFlight.Add(1) == 1 && c.g.set.suspicion > 0 {
		t.rhythm.busy(int64(c.began))
	}
}

// attemptContext is what fn gets: mostly the caller's.
func (c *call) attemptContext() context.Context {
	ctx := c.ctx
	if c.tel != nil && !c.g.set.noAttemptSpans {
		ctx, c.span = c.startSpan(ctx)
	}
	if limit := c.g.set.attemptTimeout; limit > 0 {
		c.limited = deadline.New(ctx, time.Now().Add(limit))
		ctx = c.limited
	}
	return ctx
}

// succeed ends a call that went well. It counts last: should a callback panic, abort counts.
func (c *call) succeed() {
	c.running = false
	if c.shared != nil { // before the others are told that they have lost
		c.shared.Won(c.g, c.g.now()-c.began)
	}
	c.g.wentOn(c.t, c.began, c.trial)
	if c.limited != nil && c.exchange == nil {
		c.limited.Release()
	}
	if c.g.set.budget != nil {
		c.g.set.budget.Deposit()
	}
	if c.number == 1 {
		c.g.counts.atOnce.Add()
	} else {
		c.g.counts.attempt(c.number, telemetry.Success)
		c.g.counts.wonLater.Add(1)
	}
	if c.tel != nil {
		c.endWell()
	}
}

// fail takes a failure, and begins the next attempt if there is to be one; else it returns what to return.
func (c *call) fail(err error) (over bool, _ error) {
	c.judge(err)
	c.tried = append(c.tried, TargetError{c.t.name, err})
	c.visited = append(c.visited, c.t.state)
	why := c.another(err)
	if why == nil {
		return false, nil
	}
	return true, c.giveUp(err, why)
}

// judge takes note of what the attempt says about its target.
func (c *call) judge(err error) {
	outcome := c.outcomeOf(err)
	switch {
	case outcome == telemetry.Canceled && c.lostByFar():
		c.running = false
		c.g.wentWrong(c.t, c.began, wordSlow, c.trial)
	case outcome == telemetry.Canceled || c.exchange.caused(err):
		c.running = false
		c.g.saysNothing(c.t, c.trial)
	case failure.Refused(err):
		c.running = false
		c.g.turnedAway(c.t, c.began, c.trial)
	case !c.g.set.countIf(err):
		c.running = false
		c.g.saysNothing(c.t, c.trial)
	default:
		word := telemetry.ErrorType(err)
		c.running = false
		c.g.wentWrong(c.t, c.began, word, c.trial)
	}
	c.trial = false
	c.g.counts.attempt(c.number, outcome)
	c.endSpan(outcome, err)
}

// lostByFar reports whether the attempt was cancelled because another of the same call was faster, at another target, by as
// much as makes a target a slow one. Else a hedge around the group would hide a slow target from it for ever: no call would
// wait for that to answer. That both have become slow is not held against anybody.
func (c *call) lostByFar() bool {
	if c.shared == nil || c.g.set.slowFactor == 0 || !errors.Is(context.Cause(c.ctx), attempt.ErrLost) {
		return false
	}
	won, ok := c.shared.Winner(c.g)
	took := c.g.now() - c.began
	return ok && float64(took) > max(float64(won)*c.g.set.slowFactor, float64(won)+leastSlowness)
}

// wordSlow is the type of the error that it is to have lost by far.
const wordSlow = "slow"

// another begins the next attempt, or says why there is none.
func (c *call) another(err error) (why error) {
	switch {
	case c.ctx.Err() != nil:
		return cause.Of("", c.ctx)
	case c.exchange.caused(err) || !c.g.set.failoverIf(err):
		return ErrNotMovable
	case !c.exchange.repeatable(err):
		return ErrNotRepeatable
	case c.number >= c.g.set.maxTries:
		return ErrTries
	}
	now := c.g.now()
	t, none := c.g.next(c.ctx, now, c.shared, c.visited)
	if t == nil {
		return none
	}
	if b := c.g.set.budget; b != nil && !failure.Refused(err) && !b.Withdraw() {
		return ErrBudget
	}
	c.cancelAttempt()
	c.start(t, now)
	return nil
}

// cancelAttempt ends the time limit of an attempt whose value nobody gets.
func (c *call) cancelAttempt() {
	if c.limited != nil {
		c.limited.Cancel()
		c.limited = nil
	}
}

// giveUp ends a call that failed for good.
func (c *call) giveUp(err, why error) error {
	outcome := telemetry.Failure
	if c.ctx.Err() != nil {
		outcome = c.ended()
	}
	if outcome == telemetry.Canceled {
		c.g.counts.ignored.Add(1)
	} else {
		c.g.counts.failed.Add(1)
	}
	if !c.plain(err, why) {
		err = &Error{Name: c.g.set.name, Tried: c.tried, Reason: why}
	}
	if c.limited != nil && c.exchange == nil {
		c.limited.Release()
	}
	c.tel.End(c.ctx, outcome, err, c.number)
	return err
}

// plain reports whether the one attempt's own error says all that there is to say.
func (c *call) plain(err, why error) bool {
	if len(c.tried) > 1 {
		return false
	}
	if end := c.ctx.Err(); end != nil {
		return errors.Is(err, end) && errors.Is(err, context.Cause(c.ctx))
	}
	return why == ErrNotMovable
}

// abort ends a call that panicked, or ended its goroutine.
func (c *call) abort() {
	c.g.counts.failed.Add(1)
	if c.running {
		c.g.counts.attempt(c.number, telemetry.Failure)
		c.endSpan(telemetry.Failure, telemetry.ErrAborted)
		defer c.g.wentWrong(c.t, c.began, telemetry.ErrorType(telemetry.ErrAborted), c.trial) // it may run OnChange
	}
	if c.limited != nil {
		c.limited.Cancel()
	}
	c.tel.End(c.ctx, telemetry.Failure, telemetry.ErrAborted, c.number)
}

// outcomeOf is how an attempt that failed ended.
func (c *call) outcomeOf(err error) telemetry.Outcome {
	switch {
	case c.ctx.Err() != nil:
		return c.ended()
	case failure.Refused(err):
		return telemetry.Refused
	case errors.Is(err, context.DeadlineExceeded):
		return telemetry.Timeout
	default:
		return telemetry.Failure
	}
}

// ended is how a call ended whose context did.
func (c *call) ended() telemetry.Outcome {
	if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		return telemetry.Timeout
	}
	return telemetry.Canceled
}

func (c *call) kind() telemetry.AttemptKind {
	if c.number == 1 {
		return telemetry.Initial
	}
	return telemetry.Failover
}

func (c *call) startSpan(ctx context.Context) (context.Context, telemetry.Attempt) {
	if c.exchange != nil && c.number > 1 {
		return c.tel.StartAttempt(ctx, c.number, c.kind(), 0, telemetry.Target(c.t.name), telemetry.ResendCount(c.number-1))
	}
	return c.tel.StartAttempt(ctx, c.number, c.kind(), 0, telemetry.Target(c.t.name))
}

func (c *call) endWell() {
	c.endSpan(telemetry.Success, nil)
	if c.tel.Recording() {
		c.tel.SetAttributes(telemetry.FailoverTarget(c.t.name))
	}
	c.tel.End(c.ctx, telemetry.Success, nil, c.number)
}

func (c *call) endSpan(o telemetry.Outcome, err error) {
	c.span.End(o, err)
	c.span = telemetry.Attempt{}
}
