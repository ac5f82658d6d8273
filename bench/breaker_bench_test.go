package bench_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	resiliency "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// BenchmarkBreaker is a call that succeeds through a closed breaker, which opens by the ratio of failures in a rolling
// window or by failures in a row; and one that an open breaker refuses.
func BenchmarkBreaker(b *testing.B) {
	var calls atomic.Int64
	fn := work
	counted := does("floor", func(ctx context.Context) error {
		calls.Add(1)
		_, err := fn(ctx)
		return err
	})

	byRatio := breaker.Config{ConsecutiveFailures: -1, FailureRatio: ratio, MinCalls: minCalls, Window: window}
	aegis := sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(10), sre.WithRequest(minCalls), sre.WithSuccess(ratio))
	measure(b, "ratio", append(append([]side{counted}, breakerSides(byRatio)...),
		does("holdfast.Allow", allow(breaker.MustNew(byRatio))),
		gobreakerSide(ratioSettings()),
		failsafeBreakerSide(ratioBreaker()),
		does("aegis", func(ctx context.Context) error {
			if err := aegis.Allow(); err != nil {
				aegis.MarkFailed()
				return err
			}
			_, err := fn(ctx)
			if err != nil {
				aegis.MarkFailed()
			} else {
				aegis.MarkSuccess()
			}
			return err
		}),
	)...)

	simple := resiliency.New(5, 1, 5*time.Second)
	measure(b, "consecutive", append(append([]side{counted}, breakerSides(breaker.Config{ConsecutiveFailures: 5, FailureRatio: -1})...),
		gobreakerSide(gobreaker.Settings{}),
		failsafeBreakerSide(circuitbreaker.NewBuilder[int]().WithFailureThreshold(5).Build()),
		does("go-resiliency", func(ctx context.Context) error {
			return simple.Run(func() error { _, err := fn(ctx); return err })
		}),
	)...)

	benchmarkOpen(b)
}

func benchmarkOpen(b *testing.B) {
	fn := work
	var open atomic.Bool
	open.Store(true)
	ours := breaker.MustNew(breaker.Config{OpenFor: longTime, MaxOpenFor: longTime})
	ours.Force(breaker.Open)
	sony := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Timeout: longTime, ReadyToTrip: func(gobreaker.Counts) bool { return true }})
	_, _ = sony.Execute(func() (int, error) { return 0, errBoom })
	theirs := circuitbreaker.NewBuilder[int]().WithDelay(longTime).Build()
	theirs.Open()
	simple := resiliency.New(1, 1, longTime)
	_ = simple.Run(func() error { return errBoom })
	aegis := sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(10), sre.WithRequest(minCalls), sre.WithSuccess(ratio))
	failsafeOpen := failsafeBreakerSide(theirs)
	measure(b, "open",
		does("floor", func(context.Context) error {
			if open.Load() {
				return nil
			}
			return errPassed
		}),
		does("holdfast", func(ctx context.Context) error { _, err := breaker.Do(ctx, ours, fn); return refused(err) }),
		does("gobreaker", func(ctx context.Context) error {
			_, err := sony.Execute(func() (int, error) { return fn(ctx) })
			return refused(err)
		}),
		side{failsafeOpen.name, func(ctx context.Context) func() error {
			call := failsafeOpen.bind(ctx)
			return func() error { return refused(call()) }
		}},
		does("go-resiliency", func(ctx context.Context) error {
			return refused(simple.Run(func() error { _, err := fn(ctx); return err }))
		}),
		does("aegis", func(context.Context) error { // refuses by chance: nearly all while all fail
			_ = aegis.Allow()
			aegis.MarkFailed()
			return nil
		}),
	)
}

func breakerSides(c breaker.Config) []side {
	fn := work
	ours := breaker.MustNew(c)
	wrapped := breaker.Wrap(ours, func(ctx context.Context, _ int) (int, error) { return fn(ctx) })
	return []side{
		does("holdfast", func(ctx context.Context) error { _, err := breaker.Do(ctx, ours, fn); return err }),
		does("holdfast.Wrap", func(ctx context.Context) error { _, err := wrapped(ctx, 1); return err }),
	}
}

func allow(ours *breaker.Breaker) func(context.Context) error {
	fn := work
	return func(ctx context.Context) error {
		permit, err := ours.Allow()
		if err != nil {
			return err
		}
		_, err = fn(ctx)
		permit.Done(err)
		return err
	}
}

func ratioSettings() gobreaker.Settings {
	return gobreaker.Settings{
		Interval: window, BucketPeriod: window / 10, Timeout: 5 * time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= minCalls && float64(c.TotalFailures) >= ratio*float64(c.Requests)
		},
	}
}

func gobreakerSide(s gobreaker.Settings) side {
	fn := work
	theirs := gobreaker.NewCircuitBreaker[int](s)
	return does("gobreaker", func(ctx context.Context) error {
		_, err := theirs.Execute(func() (int, error) { return fn(ctx) })
		return err
	})
}

func ratioBreaker() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(ratio, minCalls, window).WithDelay(5 * time.Second).Build()
}

func failsafeBreakerSide(theirs circuitbreaker.CircuitBreaker[int]) side {
	return failsafeSide("failsafe-go", work, theirs)
}

// failsafeSide is failsafe-go with these policies, the outermost first: its executor is made once for a context.
func failsafeSide(name string, fn func(context.Context) (int, error), policies ...failsafe.Policy[int]) side {
	executor := failsafe.With(policies...)
	return side{name, func(ctx context.Context) func() error {
		executor := executor.WithContext(ctx)
		return func() error {
			_, err := executor.Get(func() (int, error) { return fn(ctx) })
			return err
		}
	}}
}
