package retry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is the state of one call. It lives on the caller's stack, and is kept small: a success at once, which is
// nearly every call, pays for clearing it and makes no allocation.
type call struct {
	p       *Policy
	ctx     context.Context   // the caller's, under the call's span
	req     *http.Request     // in a Transport
	limited *deadline.Context // of the attempt, if it has a limit
	limit   time.Time         // of the whole call; zero: none
	number  int               // of the attempt under way or last made
	running bool              // it is under way
	inHand  bool              // its value is, and it failed

	tel     *telemetry.Call // nil: nobody looks
	attempt telemetry.Attempt

	*again // from the first failure on
}

// again is what a call needs once it has failed.
type again struct {
	lastErr  error
	delay    time.Duration   // before the next attempt
	waited   bool            // the caller's context ended in a delay
	taken    int64           // from the budget, by the retry being waited for
	schedule backoff.BackOff // the Config's; nil: the default one
	jitter   fullJitter      // the default one
	timer    *time.Timer
}

// begin checks what can be checked before the first attempt.
func (c *call) begin(ctx context.Context, p *Policy, nilFunc bool) error {
	if nilFunc {
		if p == nil {
			return fmt.Errorf("retry: %w", errNilFunc)
		}
		return fmt.Errorf("%s: %w", p.label, errNilFunc)
	}
	if ctx.Err() != nil {
		p.counts.ignored.Add(1)
		return cause.Of(p.label, ctx)
	}
	c.p, c.ctx = p, ctx
	if p.scope.Active(ctx) {
		c.ctx, c.tel = p.scope.StartCall(ctx)
	}
	if p.cfg.MaxElapsed > 0 {
		c.limit = time.Now().Add(p.cfg.MaxElapsed)
	}
	return nil
}

// startAttempt returns the context for the next attempt.
func (c *call) startAttempt() context.Context {
	c.number++
	c.running = true
	if c.number == 1 && c.tel == nil && !c.p.limits {
		return c.ctx
	}
	ctx := c.ctx
	if c.number > 1 {
		ctx = &attemptContext{ctx, c.number}
	}
	if !c.p.cfg.NoAttemptSpans && c.tel.Recording() {
		ctx, c.attempt = c.startSpan(ctx)
	}
	if c.limited = c.p.limited(ctx, c.limit); c.limited != nil {
		ctx = c.limited
	}
	return ctx
}

func (c *call) startSpan(ctx context.Context) (context.Context, telemetry.Attempt) {
	switch {
	case c.number == 1:
		return c.tel.StartAttempt(ctx, 1, telemetry.Initial, 0)
	case c.req != nil:
		return c.tel.StartAttempt(ctx, c.number, telemetry.Retry, c.delay, telemetry.ResendCount(c.number-1))
	default:
		return c.tel.StartAttempt(ctx, c.number, telemetry.Retry, c.delay)
	}
}

func (c *call) kind() telemetry.AttemptKind {
	if c.number == 1 {
		return telemetry.Initial
	}
	return telemetry.Retry
}

// succeed records the attempt and the call. The time limit stops, and the attempt's context lives on; a Transport
// keeps the limit until the body is closed.
func (c *call) succeed() {
	if c.number == 1 {
		c.p.counts.atOnce.Add()
	} else {
		c.p.counts.attempt(telemetry.Retry, telemetry.Success)
	}
	if c.limited != nil && c.req == nil {
		c.limited.Release()
	}
	if c.p.cfg.Budget != nil {
		c.p.cfg.Budget.Deposit()
	}
	if c.tel != nil {
		c.attempt.End(telemetry.Success, nil)
		c.tel.End(c.ctx, telemetry.Success, nil, c.number)
	}
}

// abort records that fn, or a callback, panicked or ended its goroutine.
func (c *call) abort() {
	if c.running {
		c.p.counts.attempt(c.kind(), telemetry.Failure)
		c.attempt.End(telemetry.Failure, telemetry.ErrAborted)
	}
	c.p.counts.failed.Add(1)
	c.refund()
	if c.limited != nil {
		c.limited.Cancel()
	}
	c.tel.End(c.ctx, telemetry.Failure, telemetry.ErrAborted, c.number)
}

// fail records a failed attempt and decides: nil if there is to be another, after c.delay; else the error to return.
func (c *call) fail(err error) error {
	c.running = false
	if c.again == nil {
		c.again = new(again)
	}
	outcome := c.outcome(err)
	c.lastErr = err
	c.p.counts.attempt(c.kind(), outcome)
	c.attempt.End(outcome, err)
	c.attempt = telemetry.Attempt{}

	if c.ended() {
		return c.interrupted()
	}
	why := c.p.verdict(c.number, c.retryable(err))
	if why == nil {
		why = c.plan(err)
	}
	if why == nil {
		return nil
	}
	return c.stop(why)
}

// outcome judges a failed attempt. The caller's cancellation says nothing about the dependency.
func (c *call) outcome(err error) telemetry.Outcome {
	switch ended := c.ctx.Err(); {
	case ended != nil && !errors.Is(ended, context.DeadlineExceeded), c.requestCancelled():
		return telemetry.Canceled
	case ended != nil, c.limited != nil && c.limited.Expired(), errors.Is(err, context.DeadlineExceeded):
		return telemetry.Timeout
	default:
		return telemetry.Failure
	}
}

func (c *call) retryable(err error) bool {
	return !permanent(err) && c.p.cfg.RetryIf(err) && (c.req == nil || c.p.repeatable(c.req, err))
}

// verdict says why a call that has failed number times is not retried, as far as that hangs on the failure alone;
// nil if nothing speaks against it.
func (p *Policy) verdict(number int, retryable bool) error {
	switch {
	case !retryable:
		return ErrNotRetryable
	case p.cfg.MaxAttempts > 0 && number >= p.cfg.MaxAttempts:
		return ErrAttempts
	default:
		return nil
	}
}

// plan sets the delay before the next attempt, and takes its token; or says why there is none.
func (c *call) plan(err error) error {
	delay, ok := c.nextDelay(err)
	if !ok {
		return ErrAttempts
	}
	if !c.fits(delay) {
		return ErrDeadline
	}
	if b := c.p.cfg.Budget; b != nil {
		taken, ok := b.withdraw(price(err))
		if !ok {
			return ErrBudget
		}
		c.taken = taken
	}
	c.delay = delay
	return nil
}

// nextDelay asks the schedule. What the error asks for is a floor, capped; the jitter comes on top of it, so that
// clients who were all told the same time do not all come back at once.
func (c *call) nextDelay(err error) (delay time.Duration, ok bool) {
	if delay = c.scheduled(); delay == backoff.Stop {
		return 0, false
	}
	delay = max(delay, 0)
	if floor, asked := failure.RetryAfter(err); asked {
		delay += min(floor, c.p.cfg.MaxRetryAfter, math.MaxInt64-delay)
	}
	return delay, true
}

func (c *call) scheduled() time.Duration {
	if c.schedule == nil && c.p.cfg.Backoff != nil && c.number == 1 {
		if c.schedule = c.p.cfg.Backoff(); c.schedule != nil {
			c.schedule.Reset()
		}
	}
	if c.schedule != nil {
		return c.schedule.NextBackOff()
	}
	c.jitter.base, c.jitter.ceiling = c.p.cfg.BaseDelay, c.p.cfg.MaxDelay
	return c.jitter.NextBackOff()
}

// fits reports whether an attempt after delay would still have time.
func (c *call) fits(delay time.Duration) bool {
	until, bounded := c.ctx.Deadline()
	if !c.limit.IsZero() && (!bounded || c.limit.Before(until)) {
		until, bounded = c.limit, true
	}
	return !bounded || delay < time.Until(until)
}

// pause waits for c.delay. The token for the next attempt goes back if there will be none.
func (c *call) pause() error {
	if c.limited != nil {
		c.limited.Cancel()
	}
	c.p.scope.Log(c.ctx, slog.LevelDebug, "retrying",
		slog.Int("attempt", c.number), slog.Duration("delay", c.delay), slog.Any("error", c.lastErr))
	if c.p.cfg.OnRetry != nil {
		c.p.cfg.OnRetry(Event{Name: c.p.cfg.Name, Attempt: c.number, Delay: c.delay, Err: c.lastErr})
	}
	c.sleep()
	if c.ended() {
		c.refund()
		c.waited = true
		return c.interrupted()
	}
	c.taken = 0
	return nil
}

func (c *call) sleep() {
	if c.delay <= 0 {
		return
	}
	if c.timer == nil {
		c.timer = time.NewTimer(c.delay)
	} else {
		c.timer.Reset(c.delay)
	}
	var cancelled <-chan struct{}
	if c.req != nil {
		//lint:ignore SA1019 http.Client.Timeout still uses it for transports that are not its own
		cancelled = c.req.Cancel
	}
	select {
	case <-c.timer.C:
	case <-c.ctx.Done():
	case <-cancelled:
	}
	c.timer.Stop()
}

func (c *call) refund() {
	if c.again != nil && c.taken > 0 {
		c.p.cfg.Budget.add(c.taken)
		c.taken = 0
	}
}

// ended reports whether the caller wants no more.
func (c *call) ended() bool { return c.ctx.Err() != nil || c.requestCancelled() }

func (c *call) requestCancelled() bool {
	if c.req == nil {
		return false
	}
	select {
	//lint:ignore SA1019 see sleep
	case <-c.req.Cancel:
		return true
	default:
		return false
	}
}

// interrupted ends a call that the caller no longer wants: the error is both why, and the last real error.
func (c *call) interrupted() error {
	outcome := c.outcome(c.lastErr)
	if outcome == telemetry.Canceled {
		c.p.counts.ignored.Add(1)
	} else {
		c.p.counts.failed.Add(1)
	}
	why, err := error(context.Canceled), c.ctx.Err()
	if err != nil {
		why = cause.Of("", c.ctx)
	}
	told := err == nil || errors.Is(c.lastErr, err) && errors.Is(c.lastErr, context.Cause(c.ctx))
	if told && c.number == 1 && !c.waited {
		return c.finish(outcome, c.lastErr) // it says all there is to say
	}
	return c.finish(outcome, &Error{Name: c.p.cfg.Name, Attempts: c.number, Err: c.lastErr, Reason: why})
}

// stop ends a call that failed for good. It counts the call last: should the logger panic, abort counts it.
func (c *call) stop(why error) error {
	if why != ErrNotRetryable { // that is between the function and its caller
		c.p.scope.Log(c.ctx, slog.LevelWarn, "retries exhausted",
			slog.Int("attempts", c.number), slog.String("reason", why.Error()), slog.Any("error", c.lastErr))
	}
	failed := &Error{Name: c.p.cfg.Name, Attempts: c.number, Err: c.lastErr, Reason: why}
	if failed.Exhausted() {
		tellServer(c.ctx)
	}
	c.p.counts.suppress(why, c.lastErr)
	c.p.counts.failed.Add(1)
	return c.finish(telemetry.Failure, failed)
}

// finish ends the call with err. The last value is handed out too, so its context is let go, not cancelled.
func (c *call) finish(o telemetry.Outcome, err error) error {
	if c.limited != nil && c.req == nil {
		c.limited.Release()
	}
	c.tel.End(c.ctx, o, err, c.number)
	return err
}
