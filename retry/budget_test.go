package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

func newBudget(t testing.TB, c retry.BudgetConfig) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// modelBudget is a budget in plain arithmetic. Time is in seconds.
type modelBudget struct {
	ratio, capacity, floor float64
	tokens                 float64
	grants                 float64 // of the floor, filled up to one
	halved                 int
}

func (m *modelBudget) pass(seconds float64) {
	m.grants = min(1, m.grants+seconds*m.floor/math.Pow(2, float64(m.halved)))
}

func (m *modelBudget) deposit() {
	m.tokens, m.halved = min(m.capacity, m.tokens+m.ratio), 0
}

func (m *modelBudget) withdraw() bool {
	if m.tokens >= 1-1e-9 {
		m.tokens--
		return true
	}
	if m.floor <= 0 || m.grants < 1-1e-6 {
		return false
	}
	m.grants, m.halved = m.grants-1, min(m.halved+1, 6)
	m.tokens = max(m.tokens-1, -1) // a loan
	return true
}

func checkBudget(ops []byte) error {
	b, err := retry.NewBudget(retry.BudgetConfig{Ratio: 0.25, Capacity: 3, Floor: 0.5})
	if err != nil {
		return err
	}
	m := &modelBudget{ratio: 0.25, capacity: 3, floor: 0.5, tokens: 3, grants: 1}
	for i, op := range ops {
		switch {
		case op < 80:
			b.Deposit()
			m.deposit()
		case op < 200:
			got, want := b.Withdraw(), m.withdraw()
			if got != want {
				return fmt.Errorf("operation %d: Withdraw() = %v, want %v (%+v)", i, got, want, *m)
			}
		default:
			// Whole tenths, off the grid on which grants come due: there the last bit of a float would decide.
			d := time.Duration(op-199) * 137 * time.Millisecond
			time.Sleep(d)
			m.pass(d.Seconds())
		}
		if got := b.Available(); math.Abs(got-max(m.tokens, 0)) > 1e-6 {
			return fmt.Errorf("operation %d: %v tokens, want %v", i, got, m.tokens)
		}
	}
	return nil
}

func TestBudgetModel(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 3))
		ops := make([]byte, 500)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if err := checkBudget(ops); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		})
	}
}

func FuzzBudgetModel(f *testing.F) {
	f.Add([]byte{100, 100, 100, 100, 100, 255, 100, 255, 100, 1, 255, 100})
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) {
			if err := checkBudget(ops); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// However many take and give at once, no token is made or lost.
func TestBudgetConcurrently(t *testing.T) {
	b := newBudget(t, retry.BudgetConfig{Ratio: 1, Capacity: 1e6, Floor: -1})
	for b.Withdraw() {
	}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 1000 {
				b.Deposit()
				if b.Withdraw() {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if left := b.Available(); float64(taken.Load())+left != 50_000 {
		t.Errorf("%d taken and %v left of 50,000", taken.Load(), left)
	}
}

// A retry against a Retry-After costs two tokens; one that the caller did not wait for costs none.
func TestBudgetPrices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, retry.BudgetConfig{Capacity: 5, Floor: -1})
		p := retry.MustNew(retry.Config{MaxAttempts: 9, Budget: b})
		err := p.Run(t.Context(), func(context.Context) error { return &plain{after: time.Second} })
		var failed *retry.Error
		if !errors.As(err, &failed) || failed.Attempts != 3 || failed.Reason != retry.ErrBudget || b.Available() != 1 {
			t.Errorf("%v, %v tokens left: want two retries at two tokens", err, b.Available())
		}
		p = retry.MustNew(retry.Config{BaseDelay: -1, Budget: b, RetryIf: func(error) bool { return true }})
		err = p.Run(t.Context(), func(context.Context) error { return &plain{refused: true, after: time.Second} })
		if !errors.As(err, &failed) || failed.Attempts != 3 || b.Available() != 1 {
			t.Errorf("%v, %v tokens left: want refusals to be retried for nothing", err, b.Available())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		p = retry.MustNew(retry.Config{Backoff: retry.Constant(2 * time.Second), Budget: b})
		if err := p.Run(ctx, func(context.Context) error { return errBoom }); !errors.Is(err, context.Canceled) || b.Available() != 1 {
			t.Errorf("%v, %v tokens left: want the token back", err, b.Available())
		}
	})
}

func TestBudgetFaults(t *testing.T) {
	_, err := retry.NewBudget(retry.BudgetConfig{Ratio: -1, Capacity: math.Inf(1), Floor: math.NaN()})
	for _, field := range []string{"Ratio: -1", "Capacity: +Inf", "Floor: NaN"} {
		if err == nil || !strings.Contains(err.Error(), "retry.BudgetConfig."+field) {
			t.Errorf("the error does not say %q: %v", field, err)
		}
	}
}
