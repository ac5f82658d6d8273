package bench_test

import (
	"context"
	"testing"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	backoff4 "github.com/cenkalti/backoff/v4"
	backoff5 "github.com/cenkalti/backoff/v5"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	sethvargo "github.com/sethvargo/go-retry"

	"github.com/holdfast-go/holdfast/retry"
)

// BenchmarkRetry is up to three attempts without a delay. Success: the first succeeds. Failures: two fail, the third
// succeeds.
func BenchmarkRetry(b *testing.B) {
	fn := work
	measure(b, "success", append([]side{bare()}, retries(func() func(context.Context) (int, error) { return fn })...)...)
	fails := func() func(context.Context) (int, error) { return new(twice).work }
	measure(b, "failures", append([]side{untilItSucceeds(fails)}, retries(fails)...)...)
}

// untilItSucceeds is the floor of a call that fails. As in retries, fn returns the function of one call.
func untilItSucceeds(fn func() func(context.Context) (int, error)) side {
	return does("floor", func(ctx context.Context) error {
		fn := fn()
		for {
			if _, err := fn(ctx); err == nil {
				return nil
			}
		}
	})
}

// retries are the sides. fn returns the function of one call.
func retries(fn func() func(context.Context) (int, error)) []side {
	ours := retry.MustNew(retry.Config{MaxAttempts: attempts, BaseDelay: -1})
	wrapped := retry.Wrap(ours, func(ctx context.Context, fn func(context.Context) (int, error)) (int, error) { return fn(ctx) })
	theirs := failsafe.With(retrypolicy.NewBuilder[int]().WithMaxAttempts(attempts).Build())
	options := []retrygo.Option{
		retrygo.Attempts(attempts), retrygo.LastErrorOnly(true), retrygo.Delay(0), retrygo.DelayType(retrygo.FixedDelay),
	}
	options = options[:len(options):len(options)]
	resiliency := retrier.New(retrier.ConstantBackoff(attempts-1, 0), nil)
	return []side{
		does("holdfast", func(ctx context.Context) error {
			_, err := retry.Do(ctx, ours, fn())
			return err
		}),
		does("holdfast.Wrap", func(ctx context.Context) error {
			_, err := wrapped(ctx, fn())
			return err
		}),
		{"failsafe-go", func(ctx context.Context) func() error {
			executor := theirs.WithContext(ctx)
			return func() error {
				fn := fn()
				_, err := executor.Get(func() (int, error) { return fn(ctx) })
				return err
			}
		}},
		does("backoff-v4", func(ctx context.Context) error {
			fn := fn()
			schedule := backoff4.WithContext(backoff4.WithMaxRetries(&backoff4.ZeroBackOff{}, attempts-1), ctx)
			_, err := backoff4.RetryWithData(func() (int, error) { return fn(ctx) }, schedule)
			return err
		}),
		does("backoff-v5", func(ctx context.Context) error {
			fn := fn()
			_, err := backoff5.Retry(ctx, func() (int, error) { return fn(ctx) },
				backoff5.WithBackOff(&backoff5.ZeroBackOff{}), backoff5.WithMaxTries(attempts))
			return err
		}),
		{"retry-go", func(ctx context.Context) func() error { // the context is one of its options
			retrier := retrygo.NewWithData[int](append(options, retrygo.Context(ctx))...)
			return func() error {
				fn := fn()
				_, err := retrier.Do(func() (int, error) { return fn(ctx) })
				return err
			}
		}},
		does("retry-go.per-call", func(ctx context.Context) error { // where each call has a context of its own
			fn := fn()
			_, err := retrygo.NewWithData[int](append(options, retrygo.Context(ctx))...).Do(func() (int, error) { return fn(ctx) })
			return err
		}),
		does("go-retry", func(ctx context.Context) error {
			fn := fn()
			zero := sethvargo.BackoffFunc(func() (time.Duration, bool) { return 0, false })
			_, err := sethvargo.DoValue(ctx, sethvargo.WithMaxRetries(attempts-1, zero), func(ctx context.Context) (int, error) {
				v, err := fn(ctx)
				return v, sethvargo.RetryableError(err)
			})
			return err
		}),
		does("go-resiliency", func(ctx context.Context) error {
			fn := fn()
			var v int
			err := resiliency.RunCtx(ctx, func(ctx context.Context) (err error) {
				v, err = fn(ctx)
				return err
			})
			_ = v
			return err
		}),
	}
}
