package retry_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// Of two that failed below, one has retried to the end: to repeat both would multiply its attempts.
func TestExhaustedInAJoin(t *testing.T) {
	once, thrice := retry.MustNew(retry.Config{MaxAttempts: 1}), retry.MustNew(quick)
	n := 0
	err := retry.MustNew(quick).Run(context.Background(), func(ctx context.Context) error {
		return errors.Join(
			once.Run(ctx, func(context.Context) error { return io.ErrUnexpectedEOF }),
			thrice.Run(ctx, func(context.Context) error { n++; return errBoom }),
		)
	})
	if n != 3 || !errors.Is(err, errBoom) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d calls, want 3: %v", n, err)
	}
}

// Where several ask for time, the longest counts: the first may have asked for none.
func TestRetryAfterInAJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick
		c.MaxAttempts = 2
		got, _ := delays(t.Context(), c, errors.Join(
			&retry.StatusError{StatusCode: 503},
			&retry.StatusError{StatusCode: 503, After: 20 * time.Second, HasAfter: true},
			&retry.StatusError{StatusCode: 503, After: 5 * time.Second, HasAfter: true},
		))
		if len(got) != 1 || got[0] != 20*time.Second {
			t.Errorf("waited %v, want 20s", got)
		}
	})
}

// A retry after a refusal costs nothing, so it can be afforded whatever the budget owes.
func TestRefusalIsFreeInDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, floor := range []float64{0, -1} {
			budget := retry.MustNewBudget(retry.BudgetConfig{Capacity: 1, Floor: floor})
			for budget.Withdraw() { // its token, and then the floor's loan
			}
			c := quick
			c.Budget, c.RetryIf = budget, func(error) bool { return true }
			n := 0
			err := retry.MustNew(c).Run(t.Context(), func(context.Context) error { n++; return &plain{refused: true} })
			if n != 3 || !errors.Is(err, retry.ErrAttempts) {
				t.Errorf("floor %v: %d attempts, want 3: %v", floor, n, err)
			}
			if budget.Withdraw() {
				t.Errorf("floor %v: the refusals have filled the budget", floor)
			}
		}
	})
}

// An inner retry that found no time for a second attempt has repeated nothing, and the outer one has a new attempt's time
// to give.
func TestInnerDeadlineIsRepeatedAbove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := retry.MustNew(retry.Config{Name: "inner", Backoff: retry.Constant(2 * time.Second)})
		outer := retry.MustNew(retry.Config{Name: "outer", BaseDelay: -1, AttemptTimeout: time.Second})
		n := 0
		err := outer.Run(t.Context(), func(ctx context.Context) error {
			return inner.Run(ctx, func(context.Context) error { n++; return errBoom })
		})
		if n != 3 || !errors.Is(err, retry.ErrAttempts) || !errors.Is(err, retry.ErrDeadline) {
			t.Errorf("%d calls, want 3: %v", n, err)
		}
	})
}

// What the budget has forbidden below is not for a retry above to do.
func TestInnerBudgetIsHeardAbove(t *testing.T) {
	c := quick
	c.Budget = emptyBudget()
	inner, n := retry.MustNew(c), 0
	err := retry.MustNew(quick).Run(context.Background(), func(ctx context.Context) error {
		return inner.Run(ctx, func(context.Context) error { n++; return errBoom })
	})
	if n != 1 || !errors.Is(err, retry.ErrBudget) {
		t.Errorf("%d calls, want 1: %v", n, err)
	}
}

// emptyBudget grants nothing until something succeeds.
func emptyBudget() *retry.Budget {
	b := retry.MustNewBudget(retry.BudgetConfig{Capacity: 1, Floor: -1})
	b.Withdraw()
	return b
}
