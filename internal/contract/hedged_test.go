package contract_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

var errLost = errors.New("another attempt was faster")

// bothAtOnce runs two copies of fn at once and returns the first result; the other's context is cancelled.
func bothAtOnce(ctx context.Context, fn func(context.Context, int) (int, error)) (int, error) {
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

// The loser of a hedge, outside or inside of the policies, counts against nobody, costs no token and keeps no place.
func TestLostHedges(t *testing.T) {
	for _, inside := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			budget := retry.MustNewBudget(retry.BudgetConfig{})
			tokens := budget.Available()
			p := retry.MustNew(retry.Config{Budget: budget, AttemptTimeout: time.Minute})
			b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, SlowAfter: time.Minute})
			slots := bulkhead.MustNew(bulkhead.Config{Limit: 2})
			stack := func(ctx context.Context, fn func(context.Context) (int, error)) (int, error) {
				return retry.Do(ctx, p, func(ctx context.Context) (int, error) {
					return breaker.Do(ctx, b, func(ctx context.Context) (int, error) { return bulkhead.Do(ctx, slots, fn) })
				})
			}
			const calls = 500
			for range calls {
				var v int
				var err error
				if inside {
					v, err = stack(t.Context(), func(ctx context.Context) (int, error) { return bothAtOnce(ctx, quickAndSlow) })
				} else {
					v, err = bothAtOnce(t.Context(), func(ctx context.Context, copied int) (int, error) {
						return stack(ctx, func(ctx context.Context) (int, error) { return quickAndSlow(ctx, copied) })
					})
				}
				if v != 7 || err != nil {
					t.Fatalf("inside %v: %d, %v", inside, v, err)
				}
				synctest.Wait() // for the loser to give its place back: there are two
			}
			lost := uint64(calls)
			if inside {
				lost = 0
			}
			if s := b.Snapshot(); s.State != breaker.Closed || s.Successes != calls || s.Failures != 0 || s.Ignored != lost {
				t.Errorf("inside %v: breaker %+v", inside, s)
			}
			if s := slots.Snapshot(); s.InUse != 0 || s.Successes != calls || s.Failures != 0 || s.Ignored != lost || s.Refused != 0 {
				t.Errorf("inside %v: bulkhead %+v", inside, s)
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

// The loser of a hedge that still waits, for a place or for the rate, leaves the queue to the next. A breaker around it
// has seen nothing.
func TestLostHedgesInQueues(t *testing.T) {
	for _, q := range []struct {
		name string
		bulkhead.Config
	}{
		{name: "for a place", Config: bulkhead.Config{Limit: 1, Queue: 1}},
		{name: "for the rate", Config: bulkhead.Config{Limit: 2, Queue: 1, Rate: rate.Every(time.Minute), Burst: 1}},
	} {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, SlowAfter: time.Minute})
				slots := bulkhead.MustNew(q.Config)
				held, err := slots.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				const calls = 100
				for range calls {
					v, err := bothAtOnce(t.Context(), func(ctx context.Context, copied int) (int, error) {
						if copied == 0 { // it has found another way
							return quickAndSlow(ctx, copied)
						}
						return breaker.Do(ctx, b, func(ctx context.Context) (int, error) {
							return bulkhead.Do(ctx, slots, func(context.Context) (int, error) {
								t.Error("there was a place")
								return 0, nil
							})
						})
					})
					if v != 7 || err != nil {
						t.Fatalf("%d, %v", v, err)
					}
					synctest.Wait()
				}
				if s := slots.Snapshot(); s.InUse != 1 || s.Queued != 0 || s.Ignored != calls || s.Refused != 0 {
					t.Errorf("bulkhead %+v", s)
				}
				if s := b.Snapshot(); s.State != breaker.Closed || s.Ignored != calls || s.Failures != 0 || s.Successes != 0 {
					t.Errorf("breaker %+v", s)
				}
				held.Done(nil)
				next, err := slots.Acquire(t.Context()) // the minute of the next token has begun with the first call
				if took := time.Since(start); err != nil || took > time.Minute {
					t.Errorf("the next call: %v after %v", err, took)
				}
				next.Done(nil)
			})
		})
	}
}
