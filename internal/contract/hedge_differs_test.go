package contract_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
)

// hedgeDiffers are the rows that are different in all doors of a hedge.
var hedgeDiffers = map[contract.Row]contract.Difference{
	contract.EndsDuring: {
		Why:     "a caller waits no longer than its context lasts: a success that comes promptly then is returned, a later one is discarded",
		Instead: leavesInTime,
	},
	contract.EndsWaiting: {Why: "what a hedge waits for is an attempt that is under way", Instead: leavesAttempt},
	contract.CannotBeMet: {Why: "there is no hedge that would not be done before the deadline", Instead: notBeforeDeadline},
	contract.EndsQueued:  {Why: "a hedge waits beside an attempt, and for nothing before", Instead: noQueue},
	contract.UnmetQueued: {Why: "a hedge waits beside an attempt, and for nothing before", Instead: noQueue},
	contract.Cancelled: {
		Why:     "the error says that the caller has cancelled, and may say no more: what fn returns then is not waited for",
		Instead: contract.AsRow,
	},
	contract.Panics: {
		Why:     "an attempt has a goroutine of its own: its panic reaches the caller as a *hedge.PanicError, with the stack of that",
		Instead: panicsApart,
	},
	contract.CallbackPanics: {
		Why:     "one that runs in the goroutine of an attempt reaches the caller as a *hedge.PanicError; one for which the caller does not wait, discard or Logger, nobody",
		Instead: callbacksApart,
	},
	contract.Late: {
		Why:     "no state moves on: late is what comes from an attempt after another has won, and that is dropped",
		Instead: lateLoser,
	},
	contract.DoneTwice: {Why: "a hedge has no primitive, and gives out no permits", Instead: noPrimitive},
	contract.NeverDone: {Why: "a hedge has no primitive, and gives out no permits", Instead: noPrimitive},
	contract.AllFail: {
		Why:     "the value and the error are those of the first attempt, and the errors of the others behind it",
		Instead: firstFails,
	},
	contract.NoAllocation: {Why: "an attempt has a goroutine and a context of its own", Instead: sixAllocations},
	contract.HTTPLastResponse: {
		Why:     "the response is that to the first attempt",
		Instead: contract.FirstResponse,
	},
	contract.HTTPTimeLimit: {Why: "a hedge sets no time limit: the context has the caller's deadline, or none", Instead: sameDeadline},
}

// hedgeInStack puts in what is different in a stack because there is a hedge in it, wherever that is.
func hedgeInStack(order []string, differs map[contract.Row]contract.Difference) {
	put := func(rows ...contract.Row) {
		for _, r := range rows {
			differs[r] = hedgeDiffers[r]
		}
	}
	put(contract.EndsDuring, contract.Panics, contract.NoAllocation)
	if slices.Index(order, "retry") <= slices.Index(order, "hedge") { // else the hedge sees what has been tried to the end
		put(contract.AllFail, contract.HTTPLastResponse)
	}
	if _, all := differs[contract.EndsWaiting]; all {
		put(contract.EndsWaiting)
		differs[contract.CannotBeMet] = contract.Difference{Why: "no layer waits after a failure", Instead: failsAtOnce}
	}
	if _, all := differs[contract.HTTPTimeLimit]; all {
		put(contract.HTTPTimeLimit)
	}
}

// leavesInTime: a success that is returned as soon as the context ends may be the caller's; none is waited for. Each is
// returned or discarded.
func leavesInTime(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		var want contract.Books
		calls := 100
		if c.Policy.Brief {
			calls = 10
		}
		for range calls {
			ctx, cancel := context.WithCancelCause(t.Context())
			v, err := s.Call(ctx, func(context.Context) (int, error) { cancel(errCause); return 7, nil })
			switch {
			case err == nil && v == 7:
				want.Successes++
			case v == 0 && errors.Is(err, errCause) && errors.Is(err, context.Canceled):
				want.Ignored++
			default:
				t.Errorf("got %d, %v; want 7, or that the caller has cancelled", v, err)
			}
			s.Settled()
		}
		if got := s.Layers[0].Books(); got != want || got.Successes == 0 && !c.Policy.Brief {
			t.Errorf("books are %+v, the caller has seen %+v; of %d successes that came at once some must have been in time", got, want, calls)
		}

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
		defer cancel()
		start := time.Now()
		v, err := s.Call(ctx, func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 7, nil })
		if v != 0 || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errCause) || time.Since(start) != time.Second {
			t.Errorf("got %d, %v after %v; want the end of the context when it comes", v, err, time.Since(start))
		}
		time.Sleep(2 * time.Second)
		s.Settled()
		s.Passes()
	})
}

// leavesAttempt: the first attempt has failed, and the second is waited for. The call returns at once when the context ends,
// with the cause and the failure, though the attempt does not heed it.
func leavesAttempt(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		ctx, cancel := context.WithCancelCause(t.Context())
		defer time.AfterFunc(10*time.Second, func() { cancel(errCause) }).Stop()
		start := time.Now()
		v, err := s.Call(ctx, func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) > 1 {
				time.Sleep(time.Hour)
			}
			return 5, errDependency
		})
		if took := time.Since(start); v != 0 && v != 5 || took != 10*time.Second {
			t.Errorf("got %d after %v, want it after 10s", v, took)
		}
		for _, want := range []error{errCause, context.Canceled, errDependency} {
			if !errors.Is(err, want) {
				t.Errorf("%v: errors.Is does not find %v in it", err, want)
			}
		}
		if got := s.Layers[0].Books(); got != (contract.Books{Ignored: 1}) {
			t.Errorf("books are %+v, want one ignored", got)
		}
		time.Sleep(time.Hour)
		s.Settled()
		s.Passes()
	})
}

// notBeforeDeadline: a failure is returned at once if half of all calls take longer than there is time. If there is enough,
// it is followed by other attempts.
func notBeforeDeadline(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		h := newHedge(t, contract.Setup{}, func(c *hedge.Config) { c.Delay, c.FirstDelay, c.Memory = 0, farOff, farOff })
		s := c.Subject(t, hedgeInstance(h))
		for range 50 {
			if _, err := s.Call(t.Context(), func(context.Context) (int, error) { time.Sleep(time.Minute); return 7, nil }); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			left time.Duration
			want int64
		}{{30 * time.Second, 1}, {3 * time.Minute, 3}} {
			ctx, cancel := context.WithTimeout(t.Context(), test.left)
			tokens, start, ran := h.budget.Available(), time.Now(), new(atomic.Int64)
			_, err := s.Call(ctx, func(context.Context) (int, error) { ran.Add(1); return 0, errDependency })
			if !errors.Is(err, errDependency) || time.Since(start) != 0 || ctx.Err() != nil {
				t.Errorf("%v left: %v after %v, want fn's error at once", test.left, err, time.Since(start))
			}
			if spent := tokens - h.budget.Available(); ran.Load() != test.want || spent != float64(test.want-1) {
				t.Errorf("%v left: %d attempts, %v tokens spent; want %d attempts", test.left, ran.Load(), spent, test.want)
			}
			cancel()
		}
		if n := h.Snapshot().Denied["deadline"]; n != 1 {
			t.Errorf("%d hedges were denied because of the deadline, want 1", n)
		}
		s.Settled()
	})
}

// failsAtOnce: nothing is slept towards.
func failsAtOnce(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{Wait: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Call(ctx, func(context.Context) (int, error) { return 0, errDependency })
		if !errors.Is(err, errDependency) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want fn's own error at once", err, time.Since(start))
		}
		s.Settled()
	})
}

// panicsApart: the value and the stack are found in the PanicError. What net/http knows by its value is passed on as it is.
func panicsApart(t *testing.T, c *contract.Cell) {
	contract.AsRow(t, c)
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		caught := func(value any) (got any) {
			defer func() { got = recover() }()
			_, _ = s.Call(t.Context(), func(context.Context) (int, error) { panic(value) })
			return nil
		}
		if p, ok := caught(errDependency).(*hedge.PanicError); !ok || !errors.Is(p, errDependency) {
			t.Errorf("recovered %v, want a PanicError with fn's value", p)
		}
		if got := caught(http.ErrAbortHandler); got != any(http.ErrAbortHandler) {
			t.Errorf("recovered %v, want %v", got, http.ErrAbortHandler)
		}
		s.Settled()
	})
}

// callbacksApart: what panics where no caller waits for it is told to the Logger, and changes nothing; if that panics too,
// nobody hears of it.
func callbacksApart(t *testing.T, c *contract.Cell) {
	contract.AsRow(t, c)
	if c.Door != "DoDiscard" {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		var logged, discarded atomic.Int64
		h := newHedge(t, contract.Setup{}, func(c *hedge.Config) {
			c.Delay = time.Millisecond
			c.Logger = logger(slog.LevelError, func() { logged.Add(1); panic("logger") })
		})
		for range 10 {
			v, err := hedge.DoDiscard(t.Context(), h.Policy, func(ctx context.Context) (int, error) {
				if hedge.AttemptFrom(ctx) == 1 {
					time.Sleep(time.Second)
				}
				return hedge.AttemptFrom(ctx), nil
			}, func(int) { discarded.Add(1); panic("discard") })
			if v != 2 || err != nil {
				t.Errorf("got %d, %v, want 2, nil", v, err)
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if discarded.Load() != 10 || logged.Load() != 10 {
			t.Errorf("%d values discarded, %d panics logged, want 10 each", discarded.Load(), logged.Load())
		}
		if s := h.Snapshot(); s.Successes != 10 || s.Calls != 10 {
			t.Errorf("books are %+v, want ten successes", s)
		}
	})
}

// lateLoser: what the loser returns changes nothing, be it a success or a failure.
func lateLoser(t *testing.T, c *contract.Cell) {
	for _, result := range []error{nil, errDependency} {
		synctest.Test(t, func(t *testing.T) {
			s := c.Subject(t, hedgeInstance(newHedge(t, contract.Setup{}, func(c *hedge.Config) { c.Delay = time.Millisecond })))
			if s.MoveOn != nil || s.State != nil {
				t.Fatal("it has a state: the row applies")
			}
			start := time.Now()
			v, err := s.Call(t.Context(), func(ctx context.Context) (int, error) {
				if hedge.AttemptFrom(ctx) == 1 {
					time.Sleep(time.Second)
					return 5, result
				}
				return 7, nil
			})
			if v != 7 || err != nil || time.Since(start) != time.Millisecond {
				t.Errorf("got %d, %v after %v; want 7, nil of the second attempt", v, err, time.Since(start))
			}
			time.Sleep(2 * time.Second)
			s.WantBooks(contract.Books{Successes: 1})
			s.Settled()
		})
	}
}

// firstFails: all of a hedge's attempts fail, one starting when another has failed. Under a retry it is the last such call
// that counts.
func firstFails(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		const attempts = 3
		s := c.Fresh(t, contract.Setup{Attempts: attempts})
		var all []error
		v, err := s.Call(t.Context(), func(context.Context) (int, error) {
			all = append(all, s.Door.Failure(len(all)))
			return 100 + len(all), all[len(all)-1]
		})
		if len(all) != s.Attempts {
			t.Fatalf("fn ran %d times, want %d", len(all), s.Attempts)
		}
		first := len(all) - attempts
		if v != 100+first+1 || !errors.Is(err, all[first]) {
			t.Errorf("got %d, %v; want the first value, %d, and the first error, %v", v, err, 100+first+1, all[first])
		}
		for _, other := range all[first:] {
			if !s.Door.HTTP && !errors.Is(err, other) { // a RoundTripper returns a response, and no error
				t.Errorf("%v: errors.Is does not find %v in it", err, other)
			}
		}
		if b := s.Layers[0].Books(); b != (contract.Books{Failures: 1}) {
			t.Errorf("books are %+v, want one failure", b)
		}
		s.Settled()
	})
}

// sixAllocations are what a success costs, and some more in doors that make a function around fn: that lives on as long as
// the attempt.
func sixAllocations(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{})
	if s.Door.HTTP {
		t.Skip("the request of an HTTP call is an allocation already")
	}
	ctx, fn := t.Context(), func(context.Context) (int, error) { return 7, nil }
	got := testing.AllocsPerRun(1000, func() {
		if v, err := s.Door.Call(ctx, fn); v != 7 || err != nil {
			t.Errorf("got %d, %v, want 7, nil", v, err)
		}
	})
	most := 11.0 // in any stack
	if len(s.Layers) == 1 {
		most = map[string]float64{"Do": 6, "DoDiscard": 8, "Wrap": 7, "Run": 10}[c.Door]
	}
	if got > most {
		t.Errorf("%v allocations a call, want at most %v", got, most)
	}
}

// sameDeadline: the context of an attempt has the deadline of the caller's, or none, and its values.
func sameDeadline(t *testing.T, c *contract.Cell) {
	type key struct{}
	s := c.Fresh(t, contract.Setup{AttemptTimeout: time.Second})
	ctx := context.WithValue(t.Context(), key{}, 5)
	bounded, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for _, ctx := range []context.Context{ctx, bounded} {
		if _, err := s.Call(ctx, func(got context.Context) (int, error) {
			want, has := ctx.Deadline()
			if end, ok := got.Deadline(); ok != has || end != want || got.Value(key{}) != 5 {
				t.Errorf("deadline %v %v, value %v; the caller's has %v %v", end, ok, got.Value(key{}), want, has)
			}
			return 7, nil
		}); err != nil {
			t.Error(err)
		}
	}
	s.Settled()
}

var errCause = errors.New("the caller's own reason")
