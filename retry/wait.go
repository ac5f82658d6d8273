package retry

import (
	"context"
	"log/slog"
	"time"
)

// pause waits for c.delay. The token for the next attempt goes back if there will be none.
func (c *call) pause() error {
	if c.limited != nil {
		c.limited.Cancel()
	}
	c.p.scope.Log(c.ctx, slog.LevelDebug, "retrying",
		slog.Int("attempt", c.number), slog.Duration("delay", c.delay), slog.Any("error", c.lastErr))
	if c.set.OnRetry != nil {
		c.set.OnRetry(Event{Name: c.set.Name, Attempt: c.number, Delay: c.delay, Err: c.lastErr})
	}
	c.sleep()
	if c.ended() != nil {
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
		c.set.Budget.add(c.taken)
		c.taken = 0
	}
}

// ended says why the caller wants no more; nil: it does.
func (c *call) ended() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if !c.requestCancelled() {
		return nil
	}
	// http.Client.Timeout closes the channel and sets a deadline, and either may come first.
	const soon = 50 * time.Millisecond
	if until, ok := c.ctx.Deadline(); ok && time.Until(until) < soon {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

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
