package bench_test

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"

	"github.com/holdfast-go/holdfast/hedge"
)

// BenchmarkHedge: quiet, fn returns at once and no hedge fires; the delay is a fixed one, or one that is learned. Fires: the
// first attempt hangs until it is cancelled, and the second returns at once. There is no delay before it: a short one would
// measure how long the system takes to wake up.
func BenchmarkHedge(b *testing.B) {
	fn := work
	theirs := func(p hedgepolicy.HedgePolicy[int], fn func(failsafe.Execution[int]) (int, error)) side {
		executor := failsafe.With(p)
		return side{"failsafe-go", func(ctx context.Context) func() error {
			executor := executor.WithContext(ctx)
			return func() error { _, err := executor.GetWithExecution(fn); return err }
		}}
	}
	plain := func(e failsafe.Execution[int]) (int, error) { return fn(e.Context()) }
	inGoroutine := does("floor", func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { _, err := fn(ctx); done <- err }()
		return <-done
	})
	ours := func(c hedge.Config, fn func(context.Context) (int, error)) side {
		p := hedge.MustNew(c)
		return does("holdfast", func(ctx context.Context) error { _, err := hedge.Do(ctx, p, fn); return err })
	}
	measure(b, "quiet", inGoroutine,
		ours(hedge.Config{Delay: time.Second}, fn),
		theirs(hedgepolicy.NewWithDelay[int](time.Second), plain))
	measure(b, "learned", inGoroutine,
		ours(hedge.Config{}, fn),
		theirs(hedgepolicy.NewWithDelayQuantile[int](0.95, 200, 40), plain))

	hangs := func(ctx context.Context, first bool) (int, error) {
		if first {
			<-ctx.Done()
		}
		return 1, nil
	}
	measure(b, "fires",
		does("floor", func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			done := make(chan error, 2)
			for i := range 2 {
				go func() { _, err := hangs(ctx, i == 0); done <- err }()
			}
			return <-done
		}),
		ours(hedge.Config{Delay: -1, MaxExtraLoad: -1}, func(ctx context.Context) (int, error) {
			return hangs(ctx, hedge.AttemptFrom(ctx) == 1)
		}),
		theirs(hedgepolicy.NewWithDelay[int](0), func(e failsafe.Execution[int]) (int, error) {
			return hangs(e.Context(), !e.IsHedge())
		}))
}
