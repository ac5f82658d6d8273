package retry

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// AttemptFrom returns the number of the attempt that ctx belongs to: 1 for the first, and outside of any retry. In
// nested retries it is that of the innermost one that is past its first attempt: whether this is a repeat.
func AttemptFrom(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}

type attemptKey struct{}

// attemptContext carries the number of an attempt after the first. The first has none, so that it costs nothing.
type attemptContext struct {
	context.Context
	number int
}

func (c *attemptContext) Value(key any) any {
	if _, ok := key.(attemptKey); ok {
		return c.number
	}
	return c.Context.Value(key)
}

// AfterFunc is what package context looks for on parents that are not its own: without it, a context derived from this
// one costs a goroutine where the caller's is not package context's either.
func (c *attemptContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, f)
}

var _ deadline.Ender = (*attemptContext)(nil)

// EndsWith says whose end it has.
func (c *attemptContext) EndsWith() context.Context { return c.Context }

// limitedContext returns ctx with the time limits of one attempt, or nil if there are none.
func (c *call) limitedContext(ctx context.Context) deadline.Limited {
	var limit time.Time
	switch timeout := c.set.AttemptTimeout; {
	case timeout > 0:
		limit = time.Now().Add(timeout)
		if c.limit != nil && c.limit.Before(limit) {
			limit = *c.limit
		}
	case c.limit != nil:
		limit = *c.limit
	default:
		return nil
	}
	if c.req != nil && !httpx.IsUpgrade(c.req) {
		return deadline.NewBounded(ctx, limit) // it ends with the body
	}
	return deadline.New(ctx, limit)
}
