package bench_test

import (
	"context"
	"testing"

	"github.com/eapache/go-resiliency/deadline"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/holdfast-go/holdfast/retry"
)

// BenchmarkTimeout is one attempt with a time limit that it does not reach. Unasked: it never looks at its context, or only at
// its Err. Asked: it asks for Done, as all that waits does.
func BenchmarkTimeout(b *testing.B) {
	timeouts(b, "unasked", func(ctx context.Context) (int, error) { return 1, ctx.Err() })
	timeouts(b, "asked", func(ctx context.Context) (int, error) {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		default:
			return 1, nil
		}
	})
}

func timeouts(b *testing.B, job string, fn func(context.Context) (int, error)) {
	ours := retry.MustNew(retry.Config{MaxAttempts: 1, AttemptTimeout: limit})
	executor := failsafe.With(timeout.New[int](limit))
	resiliency := deadline.New(limit)
	measure(b, job,
		does("floor", func(ctx context.Context) error { _, err := fn(ctx); return err }),
		does("holdfast", func(ctx context.Context) error { _, err := retry.Do(ctx, ours, fn); return err }),
		does("context.WithTimeout", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			_, err := fn(ctx)
			return err
		}),
		side{"failsafe-go", func(ctx context.Context) func() error {
			executor := executor.WithContext(ctx)
			return func() error {
				_, err := executor.GetWithExecution(func(e failsafe.Execution[int]) (int, error) { return fn(e.Context()) })
				return err
			}
		}},
		does("go-resiliency", func(ctx context.Context) error {
			return resiliency.Run(func(<-chan struct{}) error { _, err := fn(ctx); return err })
		}),
	)
}
