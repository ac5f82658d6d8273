package contract_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

var errLost = errors.New("another attempt was faster")

// hedged runs two copies of fn at once and returns the first result; the other's context is cancelled.
func hedged(ctx context.Context, fn func(context.Context, int) (int, error)) (int, error) {
	type result struct {
		v   int
		err error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errLost)
	results := make(chan result, 2)
	for copied := range 2 {
		go func() {
			v, err := fn(ctx, copied)
			results <- result{v, err}
		}()
	}
	first := <-results
	return first.v, first.err
}

// quickAndSlow answers at once in one copy, and in the other not before it is cancelled.
func quickAndSlow(ctx context.Context, copied int) (int, error) {
	if copied == 0 {
		time.Sleep(time.Millisecond)
		return 7, nil
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

// The loser of a hedge, outside or inside of the policies, counts against nobody and costs no token.
func TestLostHedges(t *testing.T) {
	for _, inside := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			budget := retry.MustNewBudget(retry.BudgetConfig{})
			tokens := budget.Available()
			p := retry.MustNew(retry.Config{Budget: budget, AttemptTimeout: time.Minute})
			b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, SlowAfter: time.Minute})
			stack := func(ctx context.Context, fn func(context.Context) (int, error)) (int, error) {
				return retry.Do(ctx, p, func(ctx context.Context) (int, error) { return breaker.Do(ctx, b, fn) })
			}
			const calls = 500
			for range calls {
				var v int
				var err error
				if inside {
					v, err = stack(t.Context(), func(ctx context.Context) (int, error) { return hedged(ctx, quickAndSlow) })
				} else {
					v, err = hedged(t.Context(), func(ctx context.Context, copied int) (int, error) {
						return stack(ctx, func(ctx context.Context) (int, error) { return quickAndSlow(ctx, copied) })
					})
				}
				if v != 7 || err != nil {
					t.Fatalf("inside %v: %d, %v", inside, v, err)
				}
			}
			synctest.Wait()
			lost := uint64(calls)
			if inside {
				lost = 0
			}
			if s := b.Snapshot(); s.State != breaker.Closed || s.Successes != calls || s.Failures != 0 || s.Ignored != lost {
				t.Errorf("inside %v: breaker %+v", inside, s)
			}
			if s := p.Snapshot(); s.Successes != calls || s.Failures != 0 || s.Ignored != lost || s.Retries != 0 {
				t.Errorf("inside %v: retry %+v", inside, s)
			}
			if budget.Available() != tokens {
				t.Errorf("inside %v: %v of %v tokens are left", inside, budget.Available(), tokens)
			}
		})
	}
}
