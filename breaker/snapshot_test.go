package breaker_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// A breaker that is restored goes on where the first one stopped, through JSON too.
func TestRestore(t *testing.T) {
	restart := func(t *testing.T, old *breaker.Breaker, c breaker.Config) *breaker.Breaker {
		data, err := json.Marshal(old.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var s breaker.Snapshot
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		b := breaker.MustNew(c)
		if err := b.Restore(s); err != nil {
			t.Fatal(err)
		}
		return b
	}
	config := breaker.Config{ConsecutiveFailures: 3, MinCalls: 10}

	t.Run("open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old := breaker.MustNew(config)
			for range 3 {
				call(old, bad)
			}
			time.Sleep(2 * time.Second)
			b := restart(t, old, config)
			time.Sleep(3*time.Second - time.Millisecond)
			if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) {
				t.Fatalf("got %v, want it open for what is left", err)
			}
			time.Sleep(time.Millisecond)
			if call(b, ok); b.State() != breaker.Closed {
				t.Errorf("state %v, want closed", b.State())
			}
		})
	})
	t.Run("window and row", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old := breaker.MustNew(breaker.Config{ConsecutiveFailures: 6, MinCalls: 10})
			for range 4 {
				call(old, ok)
			}
			for range 5 {
				call(old, bad)
			}
			b := restart(t, old, breaker.Config{ConsecutiveFailures: 6, MinCalls: 10})
			if s := b.Snapshot(); s.WindowCalls != 9 || s.WindowFailures != 5 || s.ConsecutiveFailures != 5 {
				t.Fatalf("got %+v", s)
			}
			if call(b, bad); b.State() != breaker.Open {
				t.Error("six in a row, over the restart, did not open it")
			}
		})
	})
	t.Run("an old window is forgotten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old := breaker.MustNew(config)
			call(old, bad)
			s := old.Snapshot()
			time.Sleep(10 * time.Second)
			b := breaker.MustNew(config)
			if err := b.Restore(s); err != nil || b.Snapshot().WindowCalls != 0 {
				t.Errorf("%v, %+v", err, b.Snapshot())
			}
		})
	})
	t.Run("half-open lets the next call probe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old := breaker.MustNew(config)
			for range 3 {
				call(old, bad)
			}
			time.Sleep(5 * time.Second)
			old.Allow()
			b := restart(t, old, config)
			time.Sleep(time.Microsecond)
			if call(b, ok); b.State() != breaker.Closed {
				t.Errorf("state %v, want closed", b.State())
			}
		})
	})
	for _, state := range []breaker.State{breaker.ForcedOpen, breaker.Disabled, breaker.Shadow} {
		t.Run(state.String(), func(t *testing.T) {
			old := breaker.MustNew(config)
			old.Force(state)
			if b := restart(t, old, config); b.State() != state {
				t.Errorf("state %v", b.State())
			}
		})
	}
}

func TestRestoreNonsense(t *testing.T) {
	b := breaker.MustNew(breaker.Config{})
	err := b.Restore(breaker.Snapshot{State: 99, Would: breaker.Shadow, WindowFailures: 2, WindowCalls: 1, WindowSlow: 3})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"State: State(99)", "Would: shadow", "WindowFailures: 2", "WindowSlow: 3"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("the error does not say %q:\n%v", field, err)
		}
	}
	if b.State() != breaker.Closed {
		t.Error("it changed the state")
	}
	far := breaker.Snapshot{State: breaker.Open, Until: time.Now().Add(1000 * time.Hour)}
	if err := b.Restore(far); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(b.Snapshot().Until); left > time.Minute {
		t.Errorf("open for %v, want MaxOpenFor at the most", left)
	}
}

// The text, and what other policies read from a refusal.
func TestOpenError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{Name: "users", ConsecutiveFailures: 1})
		call(b, bad)
		time.Sleep(time.Second)
		err1, err2 := call(b, ok), call(b, ok)
		if err1 != err2 {
			t.Error("two refusals of one opening are two errors")
		}
		var refusal *breaker.OpenError
		if !errors.As(err1, &refusal) || !errors.Is(err1, breaker.ErrOpen) || errors.Is(err1, errBoom) || refusal.Cause != errBoom {
			t.Fatalf("got %#v", err1)
		}
		if got := err1.Error(); got != "breaker users: open, retry in 4s" {
			t.Errorf("text %q", got)
		}
		if !refusal.Refused() || refusal.Timeout() || !refusal.Temporary() || refusal.Exhausted() ||
			refusal.ErrorType() != "breaker_open" || refusal.RetryAfter() != 4*time.Second {
			t.Errorf("traits of %#v", refusal)
		}
		if n := testing.AllocsPerRun(100, func() { call0(b) }); n != 0 {
			t.Errorf("a refusal makes %v allocations, want none", n)
		}
	})
}
