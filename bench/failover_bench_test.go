package bench_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/fallback"

	"github.com/holdfast-go/holdfast/failover"
)

var balances = []failover.Balance{failover.Ordered, failover.RoundRobin, failover.LeastLoaded, failover.PeakEWMA}

func targets(n int) []failover.Target[int] {
	ts := make([]failover.Target[int], n)
	for i := range ts {
		ts[i] = failover.Target[int]{Name: fmt.Sprint("t", i), Value: i}
	}
	return ts
}

// BenchmarkFailover is a call, or a lease, of one of three healthy targets. No peer does this work. First: the first of two
// functions fails, the second answers.
func BenchmarkFailover(b *testing.B) {
	fn := func(context.Context, int) (int, error) { return 1, nil }
	three := []int{0, 1, 2}
	var turn atomic.Uint64
	inTurn := does("floor", func(ctx context.Context) error {
		_, err := fn(ctx, three[turn.Add(1)%3])
		return err
	})
	for _, balance := range balances {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3), Balance: balance})
		measure(b, "call-"+balance.String(), inTurn,
			does("holdfast", func(ctx context.Context) error { _, err := failover.Do(ctx, g, fn); return err }))
	}
	for _, balance := range balances {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3), Balance: balance})
		measure(b, "pick-"+balance.String(), inTurn,
			does("holdfast", func(ctx context.Context) error {
				lease, err := g.Pick(ctx)
				if err != nil {
					return err
				}
				lease.Done(nil)
				return nil
			}))
	}
	fails := func(context.Context) (int, error) { return 0, errBoom }
	second := work
	executor := failsafe.With(fallback.NewWithFunc(func(e failsafe.Execution[int]) (int, error) { return second(e.Context()) }))
	measure(b, "first",
		does("floor", func(ctx context.Context) error {
			if _, err := fails(ctx); err == nil {
				return errPassed
			}
			_, err := second(ctx)
			return err
		}),
		does("holdfast", func(ctx context.Context) error { _, err := failover.First(ctx, fails, second); return err }),
		side{"failsafe-go", func(ctx context.Context) func() error {
			executor := executor.WithContext(ctx)
			return func() error {
				_, err := executor.Get(func() (int, error) { return fails(ctx) })
				return err
			}
		}})
}
