package deadline_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestParentsThatHaveEnded have one channel in all bubbles, if nobody had asked for it: what is below one is not to be told
// of its end from the bubble of another, which is fatal.
func TestParentsThatHaveEnded(t *testing.T) {
	for bubbles := range 4 {
		t.Run(fmt.Sprint(bubbles), func(t *testing.T) {
			t.Parallel()
			for range 100 {
				synctest.Test(t, func(t *testing.T) {
					for range 20 {
						parent, cancel := context.WithCancelCause(t.Context())
						cancel(errLost)
						ctx := deadline.New(parent, time.Now().Add(time.Hour))
						if !isDone(ctx) || ctx.Err() != context.Canceled || context.Cause(ctx) != errLost {
							t.Errorf("%v, cause %v, Done is closed: %v", ctx.Err(), context.Cause(ctx), isDone(ctx))
						}
					}
				})
			}
		})
	}
}
