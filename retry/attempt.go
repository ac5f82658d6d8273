package retry

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
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

// limited returns ctx with the time limits of one attempt, or nil if there are none. callLimit may be nil.
func (s *settings) limited(ctx context.Context, callLimit *time.Time) *deadline.Context {
	if s.AttemptTimeout <= 0 {
		if callLimit == nil {
			return nil
		}
		return deadline.New(ctx, *callLimit)
	}
	limit := time.Now().Add(s.AttemptTimeout)
	if callLimit != nil && callLimit.Before(limit) {
		limit = *callLimit
	}
	return deadline.New(ctx, limit)
}
