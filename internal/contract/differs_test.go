package contract_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// allowAsksNoContext: a call whose context is done is let through as any other.
func allowAsksNoContext(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := s.Call(ctx, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("got %d, %v, want 7, nil", v, err)
	}
	s.WantBooks(contract.Books{Successes: 1})
	s.Settled()
}

// allowCancelled: what says that the caller cancelled is ignored, and gives the place back at once; what does not say
// so is a failure.
func allowCancelled(t *testing.T, c *contract.Cell) {
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
