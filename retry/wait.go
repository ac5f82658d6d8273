package retry

import (
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
