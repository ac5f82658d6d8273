package retry

import (
	"context"
	"errors"
	"log/slog"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// succeed records the attempt and the call.
func (c *call) succeed() {
	if c.bare {
		c.p.counts.atOnce.Add()
		return
	}
	c.succeedWithAll()
}

// succeedWithAll is succeed where more than a count is to be kept. The time limit stops, and the attempt's context lives
// on; a Transport keeps the limit until the body is closed. It counts last: should a span panic, abort counts, and the value is
// dropped.
func (c *call) succeedWithAll() {
	c.inHand = true
	if c.limited != nil && c.req == nil {
		c.limited.Release()
	}
	if c.set.Budget != nil {
		c.set.Budget.Deposit()
	}
	if c.tel != nil {
		c.tel.Attempt.End(telemetry.Success, nil)
		c.tel.End(c.ctx, telemetry.Success, nil, c.number)
	}
	if c.number == 1 {
		c.p.counts.atOnce.Add()
	} else {
		c.p.counts.attempt(telemetry.Retry, telemetry.Success)
	}
}

// abort records that fn, or a callback, panicked or ended its goroutine.
func (c *call) abort() {
	c.p.counts.failed.Add(1)
	c.refund()
	if c.limited != nil {
		c.limited.Cancel()
	}
	if c.running {
		c.p.counts.attempt(c.kind(), telemetry.Failure)
		c.endSpan(telemetry.Failure, telemetry.ErrAborted)
	}
	if c.tel != nil {
		c.tel.End(c.ctx, telemetry.Failure, telemetry.ErrAborted, c.number)
	}
}

// endSpan ends the span of a failed attempt.
func (c *call) endSpan(o telemetry.Outcome, err error) {
	if c.tel != nil {
		c.tel.Attempt.End(o, err)
		c.tel.Attempt = telemetry.Attempt{}
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
	if c.number == 1 && !c.waited && c.toldByAttempt() {
		return c.finish(outcome, c.lastErr)
	}
	why := c.ended()
	if c.ctx.Err() != nil {
		why = cause.Of("", c.ctx)
	}
	return c.finish(outcome, &Error{Name: c.set.Name, Attempts: c.number, Err: c.lastErr, Reason: why})
}

// toldByAttempt reports whether the attempt's own error says all that there is to say of the caller's end.
func (c *call) toldByAttempt() bool {
	if err := c.ctx.Err(); err != nil {
		return errors.Is(c.lastErr, err) && errors.Is(c.lastErr, context.Cause(c.ctx))
	}
	_, response := c.lastErr.(*StatusError)
	return !response // net/http's own, for Request.Cancel
}

// stop ends a call that failed for good. It counts the call last: should the logger panic, abort counts it.
func (c *call) stop(why error) error {
	if why != ErrNotRetryable { // that is between the function and its caller
		c.p.scope.Log(c.ctx, slog.LevelWarn, "retries exhausted",
			slog.Int("attempts", c.number), slog.String("reason", why.Error()), slog.Any("error", c.lastErr))
	}
	failed := &Error{Name: c.set.Name, Attempts: c.number, Err: c.lastErr, Reason: why}
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
	if c.tel != nil {
		c.tel.End(c.ctx, o, err, c.number)
	}
	return err
}
