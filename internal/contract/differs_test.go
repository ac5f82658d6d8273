package contract_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/internal/contract"
)

// The checks of what happens in cells that differ.

// transportDiffers are the cells of a Transport that has a retry in it.
var transportDiffers = map[contract.Row]contract.Difference{
	contract.LivesOn: {
		Why:     "the caller says by closing the body that nothing more is read: the attempt's own context ends then, as net/http's does",
		Instead: contract.LivesUntilClosed,
	},
}

// neverLate: no result ever counts as late, however long it takes.
func neverLate(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		if s.MoveOn != nil || s.State != nil {
			t.Fatal("it has a state: the row applies")
		}
		if _, err := s.Call(t.Context(), func(context.Context) (int, error) { time.Sleep(time.Hour); return 7, nil }); err != nil {
			t.Error(err)
		}
		s.WantBooks(contract.Books{Successes: 1})
		s.Settled()
	})
}

func nothing(*testing.T, *contract.Cell) {}

func noPrimitive(t *testing.T, c *contract.Cell) {
	if s := c.Fresh(t, contract.Setup{}); s.Take != nil {
		t.Error("it has a primitive: the row applies")
	}
}

// neverWaits: a failure comes back at once, as it is.
func neverWaits(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{Wait: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Call(ctx, func(context.Context) (int, error) { return 0, errDependency })
		if err != errDependency || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want fn's own error at once", err, time.Since(start))
		}
		s.WantBooks(contract.Books{Failures: 1})
		s.Settled()
	})
}

// sameContext: fn gets the caller's context, with its deadline and no other.
func sameContext(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{AttemptTimeout: time.Second})
	ctx := t.Context()
	if _, err := s.Call(ctx, func(got context.Context) (int, error) {
		if got != ctx {
			t.Error("fn gets another context than the caller's")
		}
		return 7, nil
	}); err != nil {
		t.Error(err)
	}
}

// noQueue: a call runs at once.
func noQueue(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{Wait: time.Minute})
		for _, l := range s.Layers {
			if l.Fill != nil || l.Queued != nil {
				t.Fatal("it has a queue: the row applies")
			}
		}
		start := time.Now()
		if _, err := s.Call(t.Context(), func(context.Context) (int, error) { return time.Now().Compare(start), nil }); err != nil {
			t.Error(err)
		}
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
	})
}

// asksNoContext: a call whose context is done is let through as any other.
func asksNoContext(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := s.Call(ctx, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("got %d, %v, want 7, nil", v, err)
	}
	s.WantBooks(contract.Books{Successes: 1})
	s.Settled()
}

// saidToDone: what says that the caller cancelled is ignored, and gives the place back at once; what does not say so is
// a failure.
func saidToDone(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		contract.CancelledWith(t, c, "the context's error", func(ctx context.Context) error { return ctx.Err() })
		contract.CancelledWith(t, c, "with the cause beside it", func(ctx context.Context) error {
			return errors.Join(context.Cause(ctx), ctx.Err())
		})
		s := c.Fresh(t, contract.Setup{OnePlace: true})
		ctx, cancel := context.WithCancel(t.Context())
		_, _ = s.Call(ctx, func(context.Context) (int, error) { cancel(); return 0, errDependency })
		s.WantBooks(contract.Books{Failures: 1})
		s.Settled()
	})
}

// triesOnce: who does not wait is refused at once, and takes nothing from those who do.
func triesOnce(t *testing.T, c *contract.Cell) {
	eachQueue(t, c, func(t *testing.T, s *contract.Subject) {
		empty, start := s.Fill(), time.Now()
		_, err := s.Call(t.Context(), never(t))
		if !errors.Is(err, c.Policy.Full) || time.Since(start) != 0 {
			t.Errorf("%v after %v, want %v at once", err, time.Since(start), c.Policy.Full)
		}
		empty()
		s.Settled()
		s.Passes()
		s.Settled()
	})
}

// resized: a limit that is changed under a running call changes nothing for that. Lowered, it counts from when the call
// is done; raised, at once.
func resized(t *testing.T, c *contract.Cell) {
	for _, result := range []error{nil, errDependency} {
		synctest.Test(t, func(t *testing.T) {
			b := newBulkhead(t, contract.Setup{}, func(c *bulkhead.Config) { c.Limit = 2 }) // none that is adaptive: those cannot be set
			b.seesStatus = true
			s := c.Subject(t, bulkheadInstance(b))
			if s.MoveOn != nil || s.State != nil {
				t.Fatal("it has a state: the row applies")
			}
			refused := func(when string) {
				t.Helper()
				if _, err := s.Call(t.Context(), func(context.Context) (int, error) { return 7, nil }); !errors.Is(err, bulkhead.ErrFull) {
					t.Errorf("%s: %v, want it refused", when, err)
				}
			}
			resize := func(limit int) {
				t.Helper()
				if err := b.Resize(limit); err != nil {
					t.Fatal(err)
				}
			}
			arrive, done := make(chan struct{}), make(chan error)
			running := func() {
				_, err := s.Call(context.Background(), func(context.Context) (int, error) { <-arrive; return 7, result })
				done <- err
			}
			go running()
			go running()
			synctest.Wait()
			refused("two of two places are taken")
			resize(1)
			refused("two calls run, and the limit is one")
			arrive <- struct{}{}
			if err := <-done; err != result {
				t.Errorf("the limit was lowered under a call: it returned %v, want %v", err, result)
			}
			refused("one call runs, and the limit is one")
			resize(2)
			s.Passes()
			arrive <- struct{}{}
			if err := <-done; err != result {
				t.Errorf("the limit was raised under a call: it returned %v, want %v", err, result)
			}
			if got := s.Layers[0].Books(); got.Successes+got.Failures != 3 || got.Refused != 3 {
				t.Errorf("books are %+v, want three results and three refused", got)
			}
			s.Settled()
		})
	}
}

// keptForEver: neither time nor a collection gives back the place of a permit that is lost; Done does, whenever it comes.
func keptForEver(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{OnePlace: true})
		take := s.Take
		if s.Door.Take != nil {
			take = s.Door.Take
		}
		done, _, err := take()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1000 * time.Hour)
		runtime.GC()
		runtime.GC()
		if _, err := s.Call(t.Context(), func(context.Context) (int, error) { return 7, nil }); !errors.Is(err, bulkhead.ErrFull) {
			t.Errorf("the only place is taken: %v", err)
		}
		if s.Layers[0].Places() == 0 {
			t.Error("the place of a lost permit came back")
		}
		done(nil)
		s.Passes()
		s.WantBooks(contract.Books{Successes: 2, Refused: 1})
	})
}
