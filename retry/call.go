package retry

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is the state of one call. It lives on the caller's stack, and is kept small: a success at once, which is
// nearly every call, pays for clearing it and makes no allocation.
type call struct {
	p       *Policy
	set     *settings        // as they were when it began
	ctx     context.Context  // the caller's, under the call's span
	req     *http.Request    // in a Transport
	body    *httpx.Body      // likewise: of the attempt, if it is watched
	limited deadline.Limited // of the attempt, if it has a limit
	limit   *time.Time       // of the whole call; nil: none
	number  int              // of the attempt under way or last made
	running bool             // it is under way
	inHand  bool             // its value is, and code of the user's may run
	unsent  bool             // its request could not be made
	bare    bool             // it is the first, and there is nothing to it but a count
	tel     *telemetry.Call  // nil: nobody looks
	*again                   // from the first failure on
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
	set := p.set.Load()
	c.p, c.set, c.ctx, c.bare = p, set, ctx, set.bare
	if p.scope.Active(ctx) {
		c.bare = false
		c.ctx, c.tel = p.scope.StartCall(ctx)
	}
	if set.MaxElapsed > 0 {
		limit := time.Now().Add(set.MaxElapsed)
		c.limit = &limit
	}
	return nil
}

// startAttempt returns the context for the next attempt: for the first, mostly, the caller's.
func (c *call) startAttempt() context.Context {
	c.number++
	c.running = true
	if c.bare {
		return c.ctx
	}
	return c.attemptContext()
}

func (c *call) attemptContext() context.Context {
	ctx := c.ctx
	if c.number > 1 {
		ctx = &attemptContext{ctx, c.number}
	}
	if c.tel != nil && !c.set.NoAttemptSpans {
		ctx, c.tel.Attempt = c.startSpan(ctx)
	}
	if c.limited = c.limitedContext(ctx); c.limited != nil {
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
