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
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is the state of one call. It lives on the caller's stack and is kept small: a success at once, which is nearly every
// call, makes no allocation.
type call struct {
	g        *core
	set      *settings       // of its beginning; nil: it has not chosen a target yet
	ctx      context.Context // the caller's, under the call's span
	t        *target         // of the attempt under way or last made
	began    time.Duration   // that attempt
	number   int             // its number
	running  bool            // it is under way
	trial    bool            // it finds out whether the target is well again
	inHand   bool            // its value is
	careful  bool            // it must not be repeated: see Transport
	exchange *exchange       // in a Transport
	part     attempt.Part    // with the other attempts of a hedge around it
	limited  deadline.Limited
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
		c.inHand = true
		if err == nil {
			c.succeed()
			over = true
			return v, nil
		}
		next, why := c.fail(err)
		if next == nil {
			err = c.giveUp(err, why)
			over = true
			return v, err
		}
		failed, none := v, *new(R)
		v, c.inHand = none, false
		if drop != nil {
			drop(failed)                     // under its own context: the next attempt begins after that
			if why = c.ended(); why != nil { // which took some time
				err = c.giveUp(err, why)
				over = true
				return v, err
			}
		}
		c.cancelAttempt()
		c.start(next, c.g.now())
	}
}

// first chooses the target of the first attempt.
func (c *call) first() error {
	if !c.g.ready.Load() {
		if err := c.g.await(c.ctx); err != nil {
			return c.unresolved(err)
		}
	}
	now := c.g.now()
	c.part = attempt.PartOf(c.ctx)
	t, left := c.pick(now)
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
		outcome = outcomeOfEnd(c.ctx.Err())
	} else {
		err = &Error{Name: c.g.title, Reason: err}
	}
	count.Add(1)
	c.tel.End(c.ctx, outcome, err, 0)
	return err
}

// start begins an attempt.
func (c *call) start(t *target, now time.Duration) {
	c.t, c.number, c.running, c.began = t, c.number+1, true, now
	if n := t.inFlight.add(1); c.set.suspicion > 0 && n <= t.open.Load()+1 {
		t.rhythm.busy(int64(c.began))
	}
}

func (c *call) limitedContext(ctx context.Context, limit time.Time) deadline.Limited {
	if c.exchange != nil && !httpx.IsUpgrade(c.exchange.req) {
		return deadline.NewBounded(ctx, limit) // it ends with the body
	}
	return deadline.New(ctx, limit)
}

// attemptContext is what fn gets: mostly the caller's.
func (c *call) attemptContext() context.Context {
	ctx := c.ctx
	if c.tel != nil && !c.set.noAttemptSpans {
		ctx, c.span = c.startSpan(ctx)
	}
	if limit := c.set.attemptTimeout; limit > 0 {
		c.limited = c.limitedContext(ctx, time.Now().Add(limit))
		ctx = c.limited
	}
	return ctx
}

// succeed ends a call that went well. It counts last: should a callback panic, abort counts.
func (c *call) succeed() {
	c.running = false
	if !c.part.Alone() { // before the others are told that they have lost
		c.part.Won(c.g, c.g.now()-c.began)
	}
	c.g.wentOn(c.set, c.t, c.began, c.trial)
	if c.limited != nil && c.exchange == nil {
		c.limited.Release()
	}
	c.set.deposit()
	if c.tel != nil {
		c.endWell()
	}
	if c.number == 1 {
		c.g.counts.atOnce.Add()
	} else {
		c.g.counts.attempt(c.number, telemetry.Success)
		c.g.counts.wonLater.Add(1)
	}
}

// deposit tells the Budget of a success.
func (s *settings) deposit() {
	if s.budget != nil {
		s.budget.Deposit()
	}
}

// fail takes a failure, and returns the target of the next attempt, or why there is none.
func (c *call) fail(err error) (next *target, why error) {
	c.judge(err)
	c.tried = append(c.tried, TargetError{c.t.name, err})
	c.visited = append(c.visited, c.t.state)
	return c.another(err)
}

// judge takes note of what the attempt says about its target. It asks others' code first: should that panic, the attempt
// is still under way, and abort ends it.
func (c *call) judge(err error) {
	outcome, word := c.outcomeOf(err), telemetry.ErrorType(err)
	slow := outcome == telemetry.Canceled && c.lostByFar()
	hurried := c.ctx.Err() != nil && c.g.tooShort(c.set, c.g.now()-c.began)
	neutral := !slow && (outcome == telemetry.Canceled || hurried || c.exchange.caused(err))
	refused := !slow && !neutral && failure.Refused(err)
	counts := !slow && !neutral && !refused && c.set.countIf(err)
	trial := c.trial
	c.running, c.trial = false, false
	defer func() { // OnChange may panic
		c.g.counts.attempt(c.number, outcome)
		c.endSpan(outcome, err)
	}()
	switch {
	case slow:
		c.g.wentWrong(c.set, c.t, c.began, wordSlow, trial)
	case refused:
		c.g.turnedAway(c.set, c.t, c.began, trial)
	case counts:
		c.g.wentWrong(c.set, c.t, c.began, word, trial)
	default:
		c.g.saysNothing(c.t, c.began, trial)
	}
}

// lostByFar reports whether the attempt was cancelled because another of the same call was faster, at another target, by as
// much as makes a target a slow one. Else a hedge around the group would hide a slow target from it for ever: no call would
// wait for that to answer. That both have become slow is not held against anybody.
func (c *call) lostByFar() bool {
	if c.part.Alone() || c.set.slowFactor == 0 || !errors.Is(context.Cause(c.ctx), attempt.ErrLost) {
		return false
	}
	won, ok := c.part.Winner(c.g)
	took := c.g.now() - c.began
	return ok && float64(took) > max(float64(won)*c.set.slowFactor, float64(won)+leastSlowness)
}

// wordSlow is the type of the error that it is to have lost by far.
const wordSlow = "slow"

// another chooses the target of the next attempt, or says why there is none.
func (c *call) another(err error) (next *target, why error) {
	switch end := c.ended(); {
	case end != nil:
		return nil, end
	case c.exchange.caused(err) || !c.set.failoverIf(err):
		return nil, ErrNotMovable
	case !c.exchange.repeatable(err):
		return nil, ErrNotRepeatable
	case c.number >= c.set.maxTries:
		return nil, ErrTries
	}
	next, none := c.next(c.g.now())
	if next == nil {
		return nil, none
	}
	if b := c.set.budget; b != nil && !failure.Refused(err) && !b.Withdraw() {
		return nil, ErrBudget
	}
	return next, nil
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
	if end := c.ended(); end != nil {
		outcome = outcomeOfEnd(end)
	}
	if outcome == telemetry.Canceled {
		c.g.counts.ignored.Add(1)
	} else {
		c.g.counts.failed.Add(1)
	}
	if !c.plain(err, why) {
		err = &Error{Name: c.g.title, Tried: c.tried, Reason: why}
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
	if c.ended() != nil {
		_, response := err.(*StatusError)
		return !response // it is net/http's own, for Request.Cancel
	}
	return why == ErrNotMovable
}

// abort ends a call that panicked, or ended its goroutine.
func (c *call) abort() {
	c.g.counts.failed.Add(1)
	if c.running {
		c.g.counts.attempt(c.number, telemetry.Failure)
		defer c.g.wentWrong(c.set, c.t, c.began, telemetry.ErrorType(telemetry.ErrAborted), c.trial) // it may run OnChange
	}
	c.endSpan(telemetry.Failure, telemetry.ErrAborted)
	if c.limited != nil {
		c.limited.Cancel()
	}
	c.tel.End(c.ctx, telemetry.Failure, telemetry.ErrAborted, c.number)
}

// outcomeOf is how an attempt that failed ended.
func (c *call) outcomeOf(err error) telemetry.Outcome {
	switch end := c.ended(); {
	case end != nil:
		return outcomeOfEnd(end)
	case failure.Refused(err):
		return telemetry.Refused
	case c.limited != nil && c.limited.Expired(), errors.Is(err, context.DeadlineExceeded):
		return telemetry.Timeout
	default:
		return telemetry.Failure
	}
}

// ended says why the caller wants no more; nil: it does.
func (c *call) ended() error {
	if c.ctx.Err() != nil {
		return cause.Of("", c.ctx)
	}
	return c.exchange.canceled()
}

// outcomeOfEnd is how a call ended that its caller wanted no more.
func outcomeOfEnd(why error) telemetry.Outcome {
	if t, ok := why.(interface{ Timeout() bool }); ok && t.Timeout() { // its own: the cause may be anything
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
