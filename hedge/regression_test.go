package hedge_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// gate is a Budget that the test answers for.
type gate func() bool

func (g gate) Withdraw() bool { return g() }
func (gate) Deposit()         {}

// large is a result that takes a while to copy.
type large struct {
	v int
	_ [4 << 20]byte
}

// Several successes at the same moment: one wins, the others are late. A lock that many wait for goes from one to the next
// in their order (package sync: after a millisecond), and so the second success has it before the first has told anybody.
func TestSuccessesAtOnce(t *testing.T) {
	const attempts, failing = 11, 6
	for range 3 {
		got := make(chan int, attempts)
		var there, failed sync.WaitGroup // not a bubble: there they would come one after the other
		there.Add(attempts)
		failed.Add(failing)
		v, err := hedge.DoDiscard(t.Context(), hedge.MustNew(free(-1, attempts-1)), func(ctx context.Context) (l large, err error) {
			there.Done()
			there.Wait()
			if l.v = hedge.AttemptFrom(ctx); l.v <= failing {
				failed.Done()
				return large{}, errBoom
			}
			failed.Wait()
			return l, nil
		}, func(l large) { got <- l.v })
		if err != nil {
			t.Fatal(err)
		}
		got <- v.v
		seen := map[int]bool{}
		for range attempts - failing {
			v := <-got
			if seen[v] {
				t.Errorf("the value of attempt %d came twice", v)
			}
			seen[v] = true
		}
	}
}

// The first attempt failed with a value in hand, and then the caller went, or another attempt panicked: nobody gets that
// value, so it is discarded.
func TestValueOfAFailureIsNotForgotten(t *testing.T) {
	for name, second := range map[string]func(context.Context){
		"the caller goes":          func(ctx context.Context) { <-ctx.Done() },
		"the second panics":        func(context.Context) { panic("second") },
		"the second calls FailNow": func(context.Context) { goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var values books
				ended(func() {
					hedge.DoDiscard(ctx, hedge.MustNew(free(time.Hour, 1)), func(ctx context.Context) (int, error) {
						if hedge.AttemptFrom(ctx) == 1 {
							return values.produce(), errBoom
						}
						second(ctx)
						return 0, errBoom
					}, values.account)
				})
				synctest.Wait()
				values.balance(t)
			})
		})
	}
}

// A Budget that panics when a failure asks it, with nothing else under way, reaches the caller.
func TestBudgetPanicsAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(time.Hour, 1)
		c.Budget = gate(func() bool { panic("budget") })
		var panicked *hedge.PanicError
		if got, _ := recovered(func() { hedge.MustNew(c).Run(t.Context(), fails) }).(error); !errors.As(got, &panicked) || panicked.Value != "budget" {
			t.Errorf("got %v", got)
		}
	})
}

// Hedges that are denied are not asked for all the time.
func TestDeniedHedgeIsNotAskedForAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, delay := range []time.Duration{-1, 1, time.Microsecond, 10 * ms} {
			asked := 0
			c := free(delay, 1)
			c.Budget = gate(func() bool { asked++; return false })
			p := hedge.MustNew(c)
			f, _ := play(act{after: 10 * time.Second})
			if v, err := hedge.Do(t.Context(), p, f); v != 1 || err != nil {
				t.Errorf("delay %v: %d, %v", delay, v, err)
			}
			if asked < 5 || asked > 16 {
				t.Errorf("delay %v: asked %d times in 10 s", delay, asked)
			}
			if s := p.Snapshot(); s.Denied["budget"] != 1 {
				t.Errorf("delay %v: %v: want one hedge that was not made", delay, s.Denied)
			}
		}
	})
}

// While the Budget thinks a hedge over, the only attempt fails for good. The Budget says no: nothing is left to wait for.
func TestDeniedAfterAllHaveFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(10*ms, 1)
		c.HedgeIf = func(error) bool { return false }
		c.Budget = gate(func() bool { time.Sleep(10 * ms); return false })
		f, s := play(act{after: 15 * ms, err: errBoom})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := hedge.Do(ctx, hedge.MustNew(c), f); err != errBoom || time.Since(s.zero) != 20*ms {
			t.Errorf("%v after %v", err, time.Since(s.zero))
		}
	})
}

// No two attempts have the same number, and there is no gap, although a hedge was denied between.
func TestNumbersOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(10*ms, 3)
		var asked atomic.Int32
		c.Budget = gate(func() bool {
			if asked.Add(1) == 1 { // the timer's; meanwhile the first attempt fails and asks too
				time.Sleep(5 * ms)
				return false
			}
			return true
		})
		var mu sync.Mutex
		var numbers []int
		hedge.Do(t.Context(), hedge.MustNew(c), func(ctx context.Context) (int, error) {
			mu.Lock()
			numbers = append(numbers, hedge.AttemptFrom(ctx))
			mu.Unlock()
			time.Sleep(12 * ms)
			return 0, errBoom
		})
		slices.Sort(numbers)
		if !slices.Equal(numbers, []int{1, 2, 3, 4}) {
			t.Errorf("got %v", numbers)
		}
	})
}

// An attempt inside of an attempt is counted by its own call.
func TestAttemptInAnAttempt(t *testing.T) {
	outer, inner := hedge.MustNew(free(time.Hour, 1)), hedge.MustNew(free(time.Hour, 1))
	var got []int
	outer.Run(t.Context(), func(ctx context.Context) error {
		return inner.Run(ctx, func(ctx context.Context) error {
			got = append(got, hedge.AttemptFrom(ctx))
			return errBoom
		})
	})
	if !slices.Equal(got, []int{1, 2, 1, 2}) {
		t.Errorf("got %v", got)
	}
}

// What takes long to discard holds up neither the attempt that follows, nor the caller.
func TestDiscardHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := play(act{err: errBoom}, act{err: errBoom}, act{err: errBoom})
		v, err := hedge.DoDiscard(t.Context(), hedge.MustNew(free(time.Hour, 2)), f, func(int) { time.Sleep(time.Minute) })
		if v != 1 || !errors.Is(err, errBoom) || time.Since(s.zero) != 0 || len(s.all()) != 3 {
			t.Errorf("%d, %v after %v; attempts at %v", v, err, time.Since(s.zero), s.all())
		}
		time.Sleep(time.Hour)
	})
}

// A caller who went is nobody's failure, though fn heeds the context and returns before the call does; and the error says
// whose end it was.
func TestCallerWhoWentIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Name: "search", Delay: time.Hour, MaxExtraLoad: -1})
		for range 200 {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(ms, func() { cancel(errBoom) })
			err := p.Run(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errBoom) || err.Error() != "hedge search: boom" {
				t.Fatal(err)
			}
		}
		if s := p.Snapshot(); s.Ignored != 200 || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The delay counts from the start of the last attempt, also when that was started by a failure.
func TestDelayAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := play(act{after: 9 * ms, err: errBoom}, act{after: 50 * ms}, act{after: 50 * ms})
		v, err := hedge.Do(t.Context(), hedge.MustNew(free(10*ms, 2)), f)
		if v != 2 || err != nil || !slices.Equal(s.all(), []time.Duration{0, 9 * ms, 19 * ms}) {
			t.Errorf("%d, %v; attempts at %v", v, err, s.all())
		}
	})
}

// badDeposit is a Budget that panics when it is told of a success.
type badDeposit struct{}

func (badDeposit) Withdraw() bool { return true }
func (badDeposit) Deposit()       { panic("deposit") }

// A Budget that panics at a success reaches the caller, who then has no value: that is discarded.
func TestDepositPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(time.Hour, 1)
		c.Budget = badDeposit{}
		p := hedge.MustNew(c)
		var values books
		got := recovered(func() {
			hedge.DoDiscard(t.Context(), p, func(context.Context) (int, error) { return values.produce(), nil }, values.account)
		})
		synctest.Wait()
		values.balance(t)
		if s := p.Snapshot(); got != "deposit" || s.Successes != 1 || s.Calls != 1 {
			t.Errorf("recovered %v; %+v", got, s)
		}
	})
}

// After all calls were slow together, hedging is back as soon as they are quick again.
func TestStretchDoesNotOutlastItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05})
		calls(t, p, 0, 2000, usual)
		calls(t, p, 2000, 5000, slower(usual, 10))
		calls(t, p, 5000, 8000, usual) // learns
		s := calls(t, p, 8000, 10000, usual)
		if share := s.HedgeShare(); share < 0.03 || s.Delay > s.P95*5/4 {
			t.Errorf("share %.4f, delay %v at a 95th percentile of %v", share, s.Delay, s.P95)
		}
	})
}

// Of what is denied, asking again is not wanting more: a fixed delay with slow calls a little more often than hedges may be
// gets its share of them.
func TestAskingAgainIsNotWantingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.1, Delay: 20 * ms})
		s := calls(t, p, 0, 5000, bimodal(10*ms, 10*time.Second, 0.13))
		if share := s.HedgeShare(); share < 0.08 {
			t.Errorf("share %.4f", share)
		}
	})
}

// The error of a call has answers for those who made one by themselves.
func TestErrorWithoutErrors(t *testing.T) {
	e := &hedge.Error{Name: "search"}
	if e.Error() != "hedge search" || e.Timeout() || e.Temporary() || e.Refused() || e.ErrorType() == "" || len(e.Unwrap()) != 0 {
		t.Errorf("%q, %v, %v, %q", e.Error(), e.Timeout(), e.Refused(), e.ErrorType())
	}
}

// A bound that is next to nothing is none that could be kept to: 1 over it is beyond numbers, and hedges had no bound.
func TestTinyMaxExtraLoad(t *testing.T) {
	for _, share := range []float64{5e-324, 1e-17, 0.00009, math.NaN(), math.Inf(1), 10.1} {
		if _, err := hedge.New(hedge.Config{MaxExtraLoad: share}); err == nil {
			t.Errorf("%g is let pass", share)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.0001, Delay: ms})
		if s := calls(t, p, 0, 1000, constant(2*ms)); s.Hedges > 5 {
			t.Errorf("%d hedges of 1000 calls", s.Hedges)
		}
	})
}

// A call under way when the logger panics, and after.
func TestLoggerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(ms, 1)
		logged := atomic.Int32{}
		c.Logger = badLogger(&logged)
		p := hedge.MustNew(c)
		v, err := hedge.DoDiscard(t.Context(), p, func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				<-ctx.Done()
				panic("late")
			}
			return 2, nil
		}, nil)
		synctest.Wait()
		if v != 2 || err != nil || logged.Load() != 1 {
			t.Errorf("%d, %v; logged %d times", v, err, logged.Load())
		}
	})
}
