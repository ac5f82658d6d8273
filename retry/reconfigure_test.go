package retry_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// The next call goes by the new settings, one that is under way by those that it began with.
func TestReconfigureUnderACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.MustNew(retry.Config{Name: "users", MaxAttempts: 3, BaseDelay: -1})
		down := errors.New("down")
		runs := 0
		err := p.Run(t.Context(), func(context.Context) error {
			if runs++; runs == 1 {
				if err := p.Reconfigure(retry.Config{Name: "others", MaxAttempts: 5, BaseDelay: -1, AttemptTimeout: time.Second}); err != nil {
					t.Fatal(err)
				}
			}
			return down
		})
		if runs != 3 || !errors.Is(err, retry.ErrAttempts) {
			t.Errorf("%d attempts, %v: want the three of the settings that the call began with", runs, err)
		}
		runs = 0
		p.Run(t.Context(), func(ctx context.Context) error {
			runs++
			if left, ok := ctx.Deadline(); !ok || time.Until(left) != time.Second {
				t.Errorf("attempt %d has no deadline of a second", runs)
			}
			return down
		})
		if runs != 5 {
			t.Errorf("%d attempts, want the five of the settings of now", runs)
		}
		s := p.Snapshot()
		if c := p.Config(); c.Name != "users" || c.MaxAttempts != 5 || s.Name != "users" || s.Calls != 2 || s.Attempts != 8 {
			t.Errorf("%+v, %+v: want the old name, and books that go on", c, s)
		}
	})
}

func TestReconfigureBad(t *testing.T) {
	p := retry.MustNew(retry.Config{MaxAttempts: 4})
	err := p.Reconfigure(retry.Config{MaxAttempts: 9, MaxDelay: -1, AttemptTimeout: -1})
	if err == nil || !strings.Contains(err.Error(), "MaxDelay") || !strings.Contains(err.Error(), "AttemptTimeout") {
		t.Errorf("%v, want both fields", err)
	}
	if got := p.Config().MaxAttempts; got != 4 {
		t.Errorf("%d attempts after an error, want what they were", got)
	}
	if err := (*retry.Policy)(nil).Reconfigure(retry.Config{}); err == nil {
		t.Error("no error from a nil Policy")
	}
	b := retry.MustNewBudget(retry.BudgetConfig{Capacity: 7})
	err = b.Reconfigure(retry.BudgetConfig{Ratio: 2, Capacity: 0.5})
	if err == nil || !strings.Contains(err.Error(), "Ratio") || !strings.Contains(err.Error(), "Capacity") || b.Config().Capacity != 7 {
		t.Errorf("%v, capacity %g: want both fields, and nothing changed", err, b.Config().Capacity)
	}
	if err := (*retry.Budget)(nil).Reconfigure(retry.BudgetConfig{}); err == nil {
		t.Error("no error from a nil Budget")
	}
}

func TestBudgetReconfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := retry.MustNewBudget(retry.BudgetConfig{Ratio: 0.5, Capacity: 10, Floor: -1})
		for range 4 {
			b.Withdraw()
		}
		change := func(c retry.BudgetConfig, want float64) {
			t.Helper()
			if err := b.Reconfigure(c); err != nil {
				t.Fatal(err)
			}
			if got := b.Available(); got != want {
				t.Errorf("%g tokens after %+v, want %g", got, c, want)
			}
		}
		change(retry.BudgetConfig{Ratio: 0.25, Capacity: 100, Floor: -1}, 6) // no gift
		b.Deposit()
		change(retry.BudgetConfig{Ratio: 0.25, Capacity: 6.25, Floor: -1}, 6.25)
		b.Deposit()
		change(retry.BudgetConfig{Ratio: 0.25, Capacity: 3, Floor: -1}, 3)
		for b.Withdraw() {
		}
		change(retry.BudgetConfig{Capacity: 3, Floor: 1}, 0)
		if !b.Withdraw() {
			t.Error("the floor does not grant")
		}
		// Halved once now. Other settings do not make that undone.
		change(retry.BudgetConfig{Capacity: 4, Floor: 1}, 0)
		time.Sleep(time.Second)
		if b.Withdraw() {
			t.Error("a change gave the floor its full rate back")
		}
		time.Sleep(time.Second)
		if !b.Withdraw() {
			t.Error("the floor does not grant at half its rate")
		}
	})
}

func TestBudgetConfigJSON(t *testing.T) {
	var c retry.BudgetConfig
	if err := json.Unmarshal([]byte(`{"ratio": 0.25, "capacity": 5, "floor": -1}`), &c); err != nil {
		t.Fatal(err)
	}
	if want := (retry.BudgetConfig{Ratio: 0.25, Capacity: 5, Floor: -1}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if out, err := json.Marshal(c); err != nil || string(out) != `{"ratio":0.25,"capacity":5,"floor":-1}` {
		t.Errorf("%s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"rate": 1, "capacity": "5"}`), &c); err == nil || !strings.Contains(err.Error(), "rate") || !strings.Contains(err.Error(), "capacity") {
		t.Errorf("%v, want both fields", err)
	}
}

func TestReconfigureBesideCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, calls = 64, 100
		budget := retry.MustNewBudget(retry.BudgetConfig{Capacity: 1000})
		p := retry.MustNew(retry.Config{Budget: budget})
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				for j := range calls {
					p.Run(t.Context(), func(context.Context) error {
						time.Sleep(time.Millisecond)
						if (i+j)%3 == 0 {
							return errors.New("down")
						}
						return nil
					})
				}
			})
		}
		for i := range 4 {
			all.Go(func() {
				for j := range 200 {
					c := retry.Config{MaxAttempts: 1 + j%4, BaseDelay: time.Duration(1+i) * time.Millisecond, Budget: budget}
					if j%2 == 0 {
						c.AttemptTimeout = time.Second
					}
					if err := errors.Join(p.Reconfigure(c), budget.Reconfigure(retry.BudgetConfig{Capacity: float64(100 + j), Floor: float64(i)})); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		all.Wait()
		if s := p.Snapshot(); s.Calls != callers*calls || s.Attempts-s.Retries != callers*calls {
			t.Errorf("%d calls, %d first attempts in the books, want %d", s.Calls, s.Attempts-s.Retries, callers*calls)
		}
		if got, most := budget.Available(), budget.Config().Capacity; got > most {
			t.Errorf("%g tokens, want at most %g", got, most)
		}
	})
}
