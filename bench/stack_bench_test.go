package bench_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/cenkalti/backoff/v4"
	"github.com/failsafe-go/failsafe-go"
	failsafebulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

// layers are the policies of a stack: retry around breaker around bulkhead. Those of holdfast's jobs all are made here.
type layers struct {
	retry    retry.Config
	breaker  breaker.Config
	bulkhead bulkhead.Config
}

func threeLayers() layers {
	return layers{
		retry:    retry.Config{MaxAttempts: attempts, BaseDelay: -1},
		breaker:  breaker.Config{FailureRatio: ratio, MinCalls: minCalls, Window: window},
		bulkhead: bulkhead.Config{Limit: places},
	}
}

func (l layers) make() (*retry.Policy, *breaker.Breaker, *bulkhead.Bulkhead) {
	return retry.MustNew(l.retry), breaker.MustNew(l.breaker), bulkhead.MustNew(l.bulkhead)
}

// BenchmarkStack is a call that succeeds at once through retry, breaker and bulkhead, without and with a time limit for
// each attempt.
func BenchmarkStack(b *testing.B) {
	three := threeLayers()
	measure(b, "three", append([]side{atomics()}, stacks(three)...)...)
	four := three
	four.retry.AttemptTimeout = limit
	measure(b, "timeout", append([]side{atomics()}, stacks(four)...)...)
}

// atomics is the floor of a stack of three: what each has to count if it is to say afterwards what happened, and the call.
func atomics() side {
	fn := work
	var open atomic.Bool
	var calls, successes, taken, ended atomic.Int64
	return does("floor", func(ctx context.Context) error {
		if open.Load() {
			return errBoom
		}
		taken.Add(1)
		_, err := fn(ctx)
		taken.Add(-1)
		ended.Add(1)
		successes.Add(1)
		calls.Add(1)
		return err
	})
}

func stacks(l layers) []side {
	fn := work
	return append(ourStacks(l),
		failsafeStack(l),
		handNested(l, fn),
	)
}

// ourStacks are holdfast's: nested by hand, by Wrap, and by a holdfast.Stack.
func ourStacks(l layers) []side {
	fn := work
	retries, users, slots := l.make()
	three := retry.Wrap(retries, breaker.Wrap(users, bulkhead.Wrap(slots, func(ctx context.Context, _ int) (int, error) { return fn(ctx) })))
	stack := holdfast.MustStack(retries, users, slots)
	return []side{
		does("holdfast", func(ctx context.Context) error {
			_, err := retry.Do(ctx, retries, func(ctx context.Context) (int, error) {
				return breaker.Do(ctx, users, func(ctx context.Context) (int, error) {
					return bulkhead.Do(ctx, slots, fn)
				})
			})
			return err
		}),
		does("holdfast.Wrap", func(ctx context.Context) error { _, err := three(ctx, 1); return err }),
		does("holdfast.Stack", func(ctx context.Context) error { _, err := holdfast.Do(ctx, stack, fn); return err }),
	}
}

func failsafeStack(l layers) side {
	policies := []failsafe.Policy[int]{
		retrypolicy.NewBuilder[int]().WithMaxAttempts(attempts).Build(), ratioBreaker(), failsafebulkhead.New[int](uint(l.bulkhead.Limit)),
	}
	if l.retry.AttemptTimeout > 0 {
		policies = append(policies, timeout.New[int](l.retry.AttemptTimeout))
	}
	return failsafeSide("failsafe-go", work, policies...)
}

// handNested is backoff around gobreaker around a semaphore, and a context with a limit for each attempt if there is one.
func handNested(l layers, fn func(context.Context) (int, error)) side {
	users := gobreaker.NewCircuitBreaker[int](ratioSettings())
	slots := semaphore.NewWeighted(int64(l.bulkhead.Limit))
	limited := fn
	if d := l.retry.AttemptTimeout; d > 0 {
		limited = func(ctx context.Context) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return fn(ctx)
		}
	}
	return does("hand-nested", func(ctx context.Context) error {
		schedule := backoff.WithContext(backoff.WithMaxRetries(&backoff.ZeroBackOff{}, attempts-1), ctx)
		_, err := backoff.RetryWithData(func() (int, error) {
			return users.Execute(func() (int, error) {
				if err := slots.Acquire(ctx, 1); err != nil {
					return 0, err
				}
				defer slots.Release(1)
				return limited(ctx)
			})
		}, schedule)
		return err
	})
}
