package breaker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// result is what the guarded function does in one step of a script.
type result int

const (
	ok result = iota
	bad
	cancelled // the caller cancels during the call
	slow      // a success that takes two seconds
)

// step is one row: wait, then make calls, then the breaker must be in a state.
type step struct {
	wait  time.Duration
	calls int // 0: one
	do    result
	err   error // want: nil, errBoom or breaker.ErrOpen …
	state breaker.State
}

func TestStates(t *testing.T) {
	open := breaker.ErrOpen
	for _, test := range []struct {
		name   string
		config breaker.Config
		steps  []step
	}{
		{"five failures in a row open it", breaker.Config{}, []step{
			{calls: 4, do: bad, err: errBoom, state: breaker.Closed},
			{do: bad, err: errBoom, state: breaker.Open},
			{do: ok, err: open, state: breaker.Open},
			{wait: 5*time.Second - 1, do: ok, err: open, state: breaker.Open},
			{wait: 1, do: ok, state: breaker.Closed},
		}},
		{"a success ends the row", breaker.Config{MinCalls: 100}, []step{
			{calls: 4, do: bad, err: errBoom, state: breaker.Closed},
			{do: ok, state: breaker.Closed},
			{calls: 4, do: bad, err: errBoom, state: breaker.Closed},
		}},
		{"a row is not cut by the window, however slow the traffic", breaker.Config{Window: time.Second}, []step{
			{do: bad, err: errBoom},
			{wait: time.Hour, do: bad, err: errBoom},
			{wait: time.Hour, do: bad, err: errBoom},
			{wait: time.Hour, do: bad, err: errBoom, state: breaker.Closed},
			{wait: time.Hour, do: bad, err: errBoom, state: breaker.Open},
		}},
		{"half of twenty open it", breaker.Config{ConsecutiveFailures: -1}, []step{
			{calls: 10, do: ok},
			{calls: 9, do: bad, err: errBoom, state: breaker.Closed},
			{do: bad, err: errBoom, state: breaker.Open},
		}},
		{"a ratio needs MinCalls", breaker.Config{ConsecutiveFailures: -1}, []step{
			{calls: 19, do: bad, err: errBoom, state: breaker.Closed},
			{do: bad, err: errBoom, state: breaker.Open},
		}},
		{"the window forgets", breaker.Config{ConsecutiveFailures: -1}, []step{
			{calls: 19, do: bad, err: errBoom, state: breaker.Closed},
			{wait: 10 * time.Second, calls: 19, do: bad, err: errBoom, state: breaker.Closed},
		}},
		{"no ratio, no row: never", breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1}, []step{
			{calls: 1000, do: bad, err: errBoom, state: breaker.Closed},
		}},
		{"the caller's cancellations count for nothing", breaker.Config{}, []step{
			{calls: 1000, do: cancelled, err: context.Canceled, state: breaker.Closed},
		}},
		{"slow successes open it", breaker.Config{SlowAfter: time.Second, MinCalls: 4, Window: time.Minute}, []step{
			{calls: 2, do: ok},
			{do: slow, state: breaker.Closed},
			{do: slow, state: breaker.Open},
		}},
		{"a bad probe opens it again", breaker.Config{ConsecutiveFailures: 1}, []step{
			{do: bad, err: errBoom, state: breaker.Open},
			{wait: 5 * time.Second, do: bad, err: errBoom, state: breaker.Open},
			{wait: 7 * time.Second, do: ok, err: open, state: breaker.Open}, // 10 s less at most a fifth
			{wait: 3 * time.Second, do: ok, state: breaker.Closed},
		}},
		{"a cancelled probe gives its place back", breaker.Config{ConsecutiveFailures: 1}, []step{
			{do: bad, err: errBoom, state: breaker.Open},
			{wait: 5 * time.Second, do: cancelled, err: context.Canceled, state: breaker.HalfOpen},
			{do: ok, state: breaker.Closed},
		}},
		{"a slow probe is a bad one", breaker.Config{ConsecutiveFailures: 1, SlowAfter: time.Second}, []step{
			{do: bad, err: errBoom, state: breaker.Open},
			{wait: 5 * time.Second, do: slow, state: breaker.Open},
		}},
		{"three probes", breaker.Config{ConsecutiveFailures: 1, Probes: 3}, []step{
			{do: bad, err: errBoom, state: breaker.Open},
			{wait: 5 * time.Second, do: ok, state: breaker.HalfOpen},
			{do: ok, state: breaker.HalfOpen},
			{do: ok, state: breaker.Closed},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.MustNew(test.config)
				for i, s := range test.steps {
					time.Sleep(s.wait)
					for range max(s.calls, 1) {
						if err := call(b, s.do); !errors.Is(err, s.err) {
							t.Fatalf("step %d: got error %v, want %v", i, err, s.err)
						}
					}
					if got := b.State(); got != s.state {
						t.Fatalf("step %d: state %v, want %v", i, got, s.state)
					}
				}
			})
		})
	}
}

func call(b *breaker.Breaker, do result) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := breaker.Do(ctx, b, func(context.Context) (int, error) {
		switch do {
		case bad:
			return 0, errBoom
		case cancelled:
			cancel()
			return 0, context.Canceled
		case slow:
			time.Sleep(2 * time.Second)
		}
		return 1, nil
	})
	return err
}

// The cool-down doubles with each failed recovery, by a little less for the jitter, and stops at MaxOpenFor.
func TestCoolDownDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Second, MaxOpenFor: 10 * time.Second})
		var got []time.Duration
		for range 8 {
			call(b, bad)
			var refusal *breaker.OpenError
			if err := call(b, ok); !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a refusal", err)
			}
			got = append(got, refusal.RetryAfter())
			time.Sleep(refusal.RetryAfter())
		}
		want := []time.Duration{1, 2, 4, 8, 10, 10, 10, 10}
		jittered := false
		for i, d := range got {
			most := want[i] * time.Second
			if d > most || d < most*4/5 {
				t.Errorf("cool-down %d: %v, want %v less at most a fifth", i, d, most)
			}
			jittered = jittered || d != most
		}
		if got[0] != time.Second {
			t.Errorf("first cool-down: %v, want exactly OpenFor", got[0])
		}
		if !jittered {
			t.Error("no cool-down has a jitter")
		}
		call(b, ok)
		if call(b, bad); b.Snapshot().FailedRecoveries != 0 {
			t.Error("after a good probe the next cool-down is to be the first again")
		}
	})
}

// Calls that hang open the breaker before the first of them comes back.
func TestSlowWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{SlowAfter: time.Second, MinCalls: 10})
		release := make(chan struct{})
		for range 10 {
			go breaker.Do(context.Background(), b, func(context.Context) (int, error) { <-release; return 1, nil })
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if err := call(b, ok); err != nil {
			t.Fatalf("after SlowAfter: %v, want the call to pass", err)
		}
		time.Sleep(time.Second / 4)
		if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("after 1.25 SlowAfter: %v, want a refusal", err)
		}
		close(release)
		synctest.Wait()
		s := b.Snapshot()
		if s.Late != 10 || s.Successes != 11 || s.Refused != 1 {
			t.Errorf("late %d, successes %d, refused %d: want 10, 11, 1", s.Late, s.Successes, s.Refused)
		}
	})
}

// A result that comes after the state has moved on does not count in the new state.
func TestLateResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
		late, _ := b.Allow()
		late2, _ := b.Allow()
		call(b, bad)
		time.Sleep(5 * time.Second)
		late.Done(errBoom)
		if call(b, ok); b.State() != breaker.Closed {
			t.Fatalf("state %v: a late failure disturbed the probe", b.State())
		}
		late2.Done(errBoom)
		if s := b.Snapshot(); s.State != breaker.Closed || s.Late != 2 || s.ConsecutiveFailures != 0 {
			t.Errorf("got %+v, want closed, 2 late, no failure in the row", s)
		}
	})
}

// A probe that never answers does not keep the breaker half-open.
func TestHungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, ProbeTimeout: 10 * time.Second})
		call(b, bad)
		time.Sleep(5 * time.Second)
		hung, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second - 1)
		if b.State() != breaker.HalfOpen {
			t.Fatalf("state %v before ProbeTimeout, want half_open", b.State())
		}
		time.Sleep(time.Nanosecond)
		var refusal *breaker.OpenError
		if err := call(b, ok); !errors.As(err, &refusal) || refusal.State != breaker.Open {
			t.Fatalf("after ProbeTimeout: %v, want it open again", err)
		}
		time.Sleep(refusal.RetryAfter())
		if err := call(b, ok); err != nil || b.State() != breaker.Closed {
			t.Fatalf("error %v, state %v: want a good probe to close it", err, b.State())
		}
		hung.Done(errBoom)
		if s := b.Snapshot(); s.State != breaker.Closed || s.Late != 1 {
			t.Errorf("state %v, late %d: the hung probe's answer is to be late", s.State, s.Late)
		}
	})
}

// If the longer cool-down after a hung probe has passed unnoticed, the breaker is not stuck either.
func TestHungProbeLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
		call(b, bad)
		time.Sleep(5 * time.Second)
		b.Allow()
		time.Sleep(time.Hour)
		for range 2 {
			call(b, ok)
			time.Sleep(time.Millisecond)
		}
		if b.State() != breaker.Closed {
			t.Errorf("state %v, want closed by the second call at the latest", b.State())
		}
	})
}

func TestOpenUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{})
		b.OpenUntil(time.Now().Add(-time.Second))
		if b.State() != breaker.Closed {
			t.Fatal("a time that is past opened it")
		}
		b.OpenUntil(time.Now().Add(time.Minute))
		b.OpenUntil(time.Now().Add(time.Second))
		time.Sleep(time.Minute - 1)
		if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("got %v: a second OpenUntil shortened the first", err)
		}
		time.Sleep(time.Nanosecond)
		if err := call(b, ok); err != nil || b.State() != breaker.Closed {
			t.Fatalf("error %v, state %v: want a probe to close it", err, b.State())
		}
		for _, s := range []breaker.State{breaker.ForcedOpen, breaker.Disabled} {
			b.Force(s)
			if b.OpenUntil(time.Now().Add(time.Minute)); b.State() != s {
				t.Errorf("OpenUntil ended %v", s)
			}
		}
	})
}

func TestForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
		b.Force(breaker.ForcedOpen)
		time.Sleep(time.Hour)
		var refusal *breaker.OpenError
		if err := call(b, ok); !errors.As(err, &refusal) || refusal.State != breaker.ForcedOpen || refusal.RetryAfter() != 0 {
			t.Errorf("forced open: %v", err)
		}
		b.Force(breaker.Disabled)
		for range 100 {
			if err := call(b, bad); !errors.Is(err, errBoom) {
				t.Fatalf("disabled: %v, want the call to pass", err)
			}
		}
		b.Reset()
		if b.State() != breaker.Closed {
			t.Errorf("after Reset: %v", b.State())
		}
		b.Force(breaker.Open)
		if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("open by hand: %v", err)
		}
		b.Force(breaker.HalfOpen)
		if time.Sleep(time.Microsecond); call(b, ok) != nil || b.State() != breaker.Closed {
			t.Errorf("half-open by hand: %v, want the next call to probe", b.State())
		}
	})
}

// In shadow the breaker goes through its states and refuses nothing.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2})
		b.Force(breaker.Shadow)
		for range 10 {
			if err := call(b, bad); !errors.Is(err, errBoom) {
				t.Fatalf("got %v: it refused", err)
			}
		}
		s := b.Snapshot()
		if s.State != breaker.Shadow || s.Would != breaker.Open || s.Shadowed != 8 || s.Refused != 0 || s.Failures != 10 {
			t.Errorf("got %+v, want shadow, would be open, 8 shadowed", s)
		}
		time.Sleep(5 * time.Second)
		if call(b, ok); b.Snapshot().Would != breaker.Closed {
			t.Errorf("got %+v, want the probe to close it", b.Snapshot())
		}
		if b.State() != breaker.Shadow {
			t.Errorf("state %v: it left the shadow by itself", b.State())
		}
	})
}

// State changes are told in order, outside of any lock, also when the callback changes the state itself.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		var got []breaker.State
		b = breaker.MustNew(breaker.Config{Name: "users", ConsecutiveFailures: 1, OnStateChange: func(e breaker.Event) {
			if e.Name != "users" || e.At.IsZero() {
				t.Errorf("incomplete event %+v", e)
			}
			if e.To == breaker.Open && (e.Cause != errBoom || e.Until.Sub(e.At) != 5*time.Second) {
				t.Errorf("event of an opening: %+v", e)
			}
			got = append(got, e.To)
			b.State() // deadlocks if the lock is held
			b.Snapshot()
			if e.To == breaker.Closed {
				b.Force(breaker.Disabled) // told after this one
				got = append(got, breaker.State(99))
			}
		}})
		call(b, bad)
		time.Sleep(5 * time.Second)
		call(b, ok)
		want := []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed, 99, breaker.Disabled}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
