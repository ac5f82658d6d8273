package retry

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// fail records an attempt that returned an error, and decides: over is false if there is to be another, after c.delay;
// else final is what the call returns.
func (c *call) fail(err error) (over bool, final error) {
	if c.again == nil {
		c.again = new(again)
		c.bare = false
	}
	c.lastErr = err
	ended := c.ended() != nil
	retryable := !ended && c.retryable(err)
	if !ended && !retryable && c.answered(err) {
		c.succeed()
		return true, nil
	}
	outcome := c.outcome(err)
	c.running = false
	c.p.counts.attempt(c.kind(), outcome)
	c.endSpan(outcome, err)
	if ended {
		return true, c.interrupted()
	}
	why := c.set.verdict(c.number, retryable)
	if why == nil {
		why = c.plan(err)
	}
	if why == nil {
		return false, nil
	}
	return true, c.stop(why)
}

// outcome judges a failed attempt. The caller's cancellation says nothing about the dependency.
func (c *call) outcome(err error) telemetry.Outcome {
	switch ended := c.ended(); {
	case ended != nil && !errors.Is(ended, context.DeadlineExceeded):
		return telemetry.Canceled
	case ended != nil, c.limited != nil && c.limited.Expired(), errors.Is(err, context.DeadlineExceeded):
		return telemetry.Timeout
	default:
		return telemetry.Failure
	}
}

func (c *call) retryable(err error) bool {
	if permanent(err) || c.req != nil && c.final(err) {
		return false
	}
	return c.set.RetryIf(err) && (c.req == nil || c.set.repeatable(c.req, err))
}

// final reports whether no repeat of a request is to be made, whatever RetryIf says: the server has said so, or the
// request could not be made, or it was the reading of the caller's own body that failed.
func (c *call) final(err error) bool {
	status, ok := err.(*StatusError)
	return ok && status.NoRetry || c.unsent || c.body.Caused(err)
}

// answered reports whether err is only how RetryIf got to see a response that is the request's own fault: the server is
// well.
func (c *call) answered(err error) bool {
	status, ok := err.(*StatusError)
	return ok && c.req != nil && !httpx.Failure(status.StatusCode) && !(status.NoRetry && httpx.Retryable(status.StatusCode))
}

// verdict says why a call that has failed number times is not retried, as far as that hangs on the failure alone;
// nil if nothing speaks against it.
func (s *settings) verdict(number int, retryable bool) error {
	switch {
	case !retryable:
		return ErrNotRetryable
	case s.MaxAttempts > 0 && number >= s.MaxAttempts:
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
	if b := c.set.Budget; b != nil {
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
		delay += min(floor, c.set.MaxRetryAfter, math.MaxInt64-delay)
	}
	return delay, true
}

func (c *call) scheduled() time.Duration {
	if c.schedule == nil && c.set.Backoff != nil && c.number == 1 {
		if c.schedule = c.set.Backoff(); c.schedule != nil {
			c.schedule.Reset()
		}
	}
	if c.schedule != nil {
		return c.schedule.NextBackOff()
	}
	c.jitter.base, c.jitter.ceiling = c.set.BaseDelay, c.set.MaxDelay
	return c.jitter.NextBackOff()
}

// fits reports whether an attempt after delay would still have time.
func (c *call) fits(delay time.Duration) bool {
	until, bounded := c.ctx.Deadline()
	if c.limit != nil && (!bounded || c.limit.Before(until)) {
		until, bounded = *c.limit, true
	}
	return !bounded || delay < time.Until(until)
}
