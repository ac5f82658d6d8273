package contract_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

// lostHedges are calls whose attempts race each other: one answers a moment after the other has begun, and the other not
// before it is cancelled.
type lostHedges struct {
	winner int                             // the first attempt, or the second
	says   func(ctx context.Context) error // what the other returns then
}

func (l lostHedges) attempt(ctx context.Context, number int) (int, error) {
	if number == l.winner {
		time.Sleep(2 * time.Millisecond)
		return 7, nil
	}
	<-ctx.Done()
	return 0, l.says(ctx)
}

// hedgeAfter makes a hedge that starts the second attempt after a delay.
func hedgeAfter(delay time.Duration) *hedge.Policy {
	return hedge.MustNew(hedge.Config{Delay: delay, MaxExtraLoad: -1})
}

// below are the policies that a hedge is put around, or into.
type below struct {
	budget  *retry.Budget
	retries *retry.Policy
	breaker *breaker.Breaker
	slots   *bulkhead.Bulkhead
}

func newBelow() *below {
	b := &below{budget: retry.MustNewBudget(retry.BudgetConfig{})}
	b.retries = retry.MustNew(retry.Config{Budget: b.budget, AttemptTimeout: time.Minute})
	b.breaker = breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, SlowAfter: time.Minute})
	b.slots = bulkhead.MustNew(bulkhead.Config{Limit: 2})
	return b
}

// stack is those of the policies that are named, from the outside in.
func (b *below) stack(names []string) func(context.Context, contract.Func) (int, error) {
	do := caller(call)
	for _, name := range slices.Backward(names) {
		next := do
		do = func(ctx context.Context, fn contract.Func) (int, error) {
			through := func(ctx context.Context) (int, error) { return next(ctx, fn) }
			switch name {
			case "retry":
				return retry.Do(ctx, b.retries, through)
			case "breaker":
				return breaker.Do(ctx, b.breaker, through)
			default:
				return bulkhead.Do(ctx, b.slots, through)
			}
		}
	}
	return do
}

// The loser of a hedge, outside or inside of the policies, counts against nobody, costs no token and keeps no place.
func TestLostHedges(t *testing.T) {
	says := map[string]func(context.Context) error{
		"the context's error": func(ctx context.Context) error { return ctx.Err() },
		"the cause":           context.Cause,
		"another error":       func(context.Context) error { return errDependency },
	}
	for _, names := range [][]string{{"retry"}, {"breaker"}, {"bulkhead"}, advised} {
		for what, says := range says {
			for winner := 1; winner <= 2; winner++ {
				for _, inside := range []bool{false, true} {
					name := fmt.Sprintf("%v, attempt %d wins, inside %v, %s", names, winner, inside, what)
					t.Run(name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { loseHedges(t, names, inside, lostHedges{winner, says}) })
					})
				}
			}
		}
	}
}

func loseHedges(t *testing.T, names []string, inside bool, l lostHedges) {
	const calls = 1000
	p, in := hedgeAfter(time.Millisecond), newBelow()
	tokens, stack := in.budget.Available(), in.stack(names)
	for range calls {
		var v int
		var err error
		if inside {
			v, err = stack(t.Context(), func(ctx context.Context) (int, error) {
				return hedge.Do(ctx, p, func(ctx context.Context) (int, error) { return l.attempt(ctx, hedge.AttemptFrom(ctx)) })
			})
		} else {
			v, err = hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
				number := hedge.AttemptFrom(ctx) // below a retry it is that one's
				return stack(ctx, func(ctx context.Context) (int, error) { return l.attempt(ctx, number) })
			})
		}
		if v != 7 || err != nil {
			t.Fatalf("%d, %v", v, err)
		}
		synctest.Wait() // for the loser to give its place back: there are two
	}
	if s := p.Snapshot(); s.Successes != calls || s.Calls != calls || s.Hedges != calls || s.Wins != uint64(calls*(l.winner-1)) {
		t.Errorf("hedge %+v", s)
	}
	lost := uint64(calls)
	if inside {
		lost = 0
	}
	for _, name := range names {
		switch name {
		case "retry":
			if s := in.retries.Snapshot(); s.Successes != calls || s.Failures != 0 || s.Ignored != lost || s.Retries != 0 {
				t.Errorf("retry %+v", s)
			}
			if in.budget.Available() != tokens {
				t.Errorf("%v of %v tokens are left", in.budget.Available(), tokens)
			}
		case "breaker":
			if s := in.breaker.Snapshot(); s.State != breaker.Closed || s.Successes != calls || s.Failures != 0 || s.Ignored != lost {
				t.Errorf("breaker %+v", s)
			}
		case "bulkhead":
			if s := in.slots.Snapshot(); s.InUse != 0 || s.Successes != calls || s.Failures != 0 || s.Ignored != lost || s.Refused != 0 {
				t.Errorf("bulkhead %+v", s)
			}
		}
	}
}

// The same of a breaker that is half-open: a lost probe gives its place back, and decides nothing.
func TestLostProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedgeAfter(time.Millisecond)
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, Probes: 1})
		b.Force(breaker.HalfOpen)
		time.Sleep(time.Microsecond)
		for range 1000 {
			v, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
				number := hedge.AttemptFrom(ctx)
				l := lostHedges{winner: 2, says: func(ctx context.Context) error { return ctx.Err() }}
				if number == l.winner { // it has found another way
					return l.attempt(ctx, number)
				}
				return breaker.Do(ctx, b, func(ctx context.Context) (int, error) { return l.attempt(ctx, number) })
			})
			if v != 7 || err != nil {
				t.Fatalf("%d, %v", v, err)
			}
			synctest.Wait()
		}
		if s := b.Snapshot(); s.State != breaker.HalfOpen || s.Probing != 0 || s.Ignored != 1000 || s.Refused != 0 {
			t.Errorf("breaker %+v", s)
		}
	})
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
				p := hedgeAfter(-1)
				for call := range calls {
					v, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
						if hedge.AttemptFrom(ctx) == 1+call%2 { // it has found another way
							time.Sleep(time.Millisecond)
							return 7, nil
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
