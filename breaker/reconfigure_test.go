package breaker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

var errDown = errors.New("down")

func failed(context.Context) error { return errDown }

func fine(context.Context) error { return nil }

func reconfigured(t *testing.T, b *breaker.Breaker, c breaker.Config) {
	t.Helper()
	if err := b.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
}

// What was seen before the change counts after it.
func TestReconfigureKeepsTheStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{Name: "users", ConsecutiveFailures: 10})
		for range 3 {
			b.Run(t.Context(), failed)
		}
		reconfigured(t, b, breaker.Config{Name: "others", ConsecutiveFailures: 4})
		if got := b.Config(); got.Name != "users" || got.ConsecutiveFailures != 4 {
			t.Errorf("Config() = %+v, want the old name and the new setting", got)
		}
		if s := b.State(); s != breaker.Closed {
			t.Fatalf("%v after the change, want closed: a change is no failure", s)
		}
		b.Run(t.Context(), failed)
		if s := b.State(); s != breaker.Open {
			t.Errorf("%v after the fourth failure in a row, want open", s)
		}
		if s := b.Snapshot(); s.Failures != 4 {
			t.Errorf("%d failures in the books, want 4", s.Failures)
		}
	})
}

func TestReconfigureKeepsTheWindow(t *testing.T) {
	for _, tt := range []struct {
		name        string
		from, to    time.Duration
		thenWait    time.Duration
		want, after uint64 // in the window, at once and when thenWait has passed
	}{
		{"longer", 10 * time.Second, time.Minute, 20 * time.Second, 8, 8},
		{"longer, to its end", 10 * time.Second, time.Minute, 61 * time.Second, 8, 0},
		{"shorter", 10 * time.Second, 2 * time.Second, 3 * time.Second, 3, 0}, // one that lay in the same second
		{"the same", 10 * time.Second, 10 * time.Second, 0, 8, 8},
		{"much longer", 10 * time.Second, 24 * time.Hour, 12 * time.Hour, 8, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.MustNew(breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, Window: tt.from})
				for range 8 { // one a second
					time.Sleep(time.Second)
					b.Run(t.Context(), failed)
				}
				reconfigured(t, b, breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, Window: tt.to})
				if got := b.Snapshot().WindowFailures; got != tt.want {
					t.Errorf("%d failures in the window, want %d", got, tt.want)
				}
				time.Sleep(tt.thenWait)
				if got := b.Snapshot().WindowFailures; got != tt.after {
					t.Errorf("%d failures in the window after %v, want %d", got, tt.thenWait, tt.after)
				}
				if got := b.Snapshot().Failures; got != 8 {
					t.Errorf("%d failures in the books, want 8", got)
				}
			})
		})
	}
}

// An opening that has begun ends as it began, and a probe that is out closes the breaker.
func TestReconfigureKeepsTheOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OpenFor: 4 * time.Second})
		b.Run(t.Context(), failed)
		until := b.Snapshot().Until
		next := breaker.Config{ConsecutiveFailures: 2, OpenFor: time.Hour, MaxOpenFor: time.Hour, SlowAfter: time.Minute}
		reconfigured(t, b, next)
		if s := b.Snapshot(); s.State != breaker.Open || !s.Until.Equal(until) {
			t.Fatalf("%v until %v, want open until %v as before", s.State, s.Until, until)
		}
		time.Sleep(4 * time.Second)
		b.Run(t.Context(), func(context.Context) error {
			reconfigured(t, b, next)
			return nil
		})
		if s := b.State(); s != breaker.Closed {
			t.Fatalf("%v after a good probe, want closed", s)
		}
		b.Run(t.Context(), failed)
		b.Run(t.Context(), failed)
		if s := b.Snapshot(); s.State != breaker.Open || time.Until(s.Until) != time.Hour {
			t.Errorf("%v for %v, want open for the hour of the new settings", s.State, time.Until(s.Until))
		}
	})
}

func TestReconfigureKeepsWhatWasForced(t *testing.T) {
	for _, s := range []breaker.State{breaker.ForcedOpen, breaker.Disabled, breaker.Shadow} {
		b := breaker.MustNew(breaker.Config{})
		b.Force(s)
		reconfigured(t, b, breaker.Config{Window: time.Minute, SlowAfter: time.Second})
		if got := b.State(); got != s {
			t.Errorf("%v after Force(%v) and a change", got, s)
		}
	}
}

// A call that is under way ends by the settings that it began with.
func TestReconfigureUnderACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ignoring := func(error) breaker.Outcome { return breaker.Ignored }
		b := breaker.MustNew(breaker.Config{Classify: ignoring, ConsecutiveFailures: 1})
		b.Run(t.Context(), func(context.Context) error {
			reconfigured(t, b, breaker.Config{ConsecutiveFailures: 1})
			return errDown
		})
		if s := b.Snapshot(); s.Ignored != 1 || s.Failures != 0 {
			t.Errorf("%d ignored, %d failures, want the Classify that the call began with", s.Ignored, s.Failures)
		}
		b.Run(t.Context(), failed)
		if s := b.Snapshot(); s.Failures != 1 || s.State != breaker.Open {
			t.Errorf("%d failures, %v, want the Classify of now for the next call", s.Failures, s.State)
		}
	})
}

// Calls that overlap a change of SlowAfter are taken out of the count in which they are.
func TestReconfigureSlowAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, MinCalls: 100}
		with := c
		with.SlowAfter = time.Second
		b := breaker.MustNew(with)
		var calls sync.WaitGroup
		hang := func(d time.Duration) {
			calls.Go(func() { b.Run(t.Context(), func(context.Context) error { time.Sleep(d); return nil }) })
			synctest.Wait()
		}
		hang(10 * time.Second) // slow by the settings that it began with
		reconfigured(t, b, c)
		hang(10 * time.Second) // slow by none
		with.SlowAfter = 3 * time.Second
		reconfigured(t, b, with)
		hang(2 * time.Second) // not slow any more
		hang(8 * time.Second)
		time.Sleep(7 * time.Second)
		if got := b.Snapshot(); got.WindowSlow != 1 {
			t.Errorf("%d slow while they run, want the one that began under these settings", got.WindowSlow)
		}
		calls.Wait()
		if got := b.Snapshot(); got.WindowSlow != 2 || got.WindowCalls != 4 {
			t.Errorf("%d slow of %d, want 2 of 4", got.WindowSlow, got.WindowCalls)
		}
		time.Sleep(time.Minute)
		if got := b.Snapshot(); got.WindowSlow != 0 || got.WindowCalls != 0 {
			t.Errorf("%d slow of %d when all is over, want none", got.WindowSlow, got.WindowCalls)
		}
	})
}

func TestReconfigureBad(t *testing.T) {
	b := breaker.MustNew(breaker.Config{OpenFor: 7 * time.Second})
	err := b.Reconfigure(breaker.Config{FailureRatio: 3, Window: 1, OpenFor: 9 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "FailureRatio") || !strings.Contains(err.Error(), "Window") {
		t.Errorf("%v, want both fields", err)
	}
	if got := b.Config().OpenFor; got != 7*time.Second {
		t.Errorf("OpenFor is %v after an error, want what it was", got)
	}
	if err := (*breaker.Breaker)(nil).Reconfigure(breaker.Config{}); err == nil {
		t.Error("no error from a nil Breaker")
	}
	if err := (*breaker.Keyed[string])(nil).Reconfigure(breaker.Config{}); err == nil {
		t.Error("no error from a nil Keyed")
	}
}

// Calls, changes and looks beside each other: nothing is lost from the books, and the window ends up empty.
func TestReconfigureBesideCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, calls = 64, 200
		b := breaker.MustNew(breaker.Config{})
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				for j := range calls {
					b.Run(t.Context(), func(context.Context) error {
						time.Sleep(time.Duration((i+j)%7) * 10 * time.Millisecond)
						if (i*j)%3 == 0 {
							return errDown
						}
						return nil
					})
					time.Sleep(time.Duration(j%5) * time.Millisecond)
				}
			})
		}
		for i := range 4 {
			all.Go(func() {
				for j := range 200 {
					reconfigured(t, b, breaker.Config{
						Window:    time.Duration(1+(i+j)%9) * 100 * time.Millisecond,
						SlowAfter: time.Duration((i*j)%4) * 10 * time.Millisecond,
						OpenFor:   time.Duration(1+j%5) * 10 * time.Millisecond,
						Probes:    1 + j%3,
					})
					b.Snapshot()
					time.Sleep(time.Duration(1+i) * time.Millisecond)
				}
			})
		}
		all.Wait()
		if s := b.Snapshot(); s.Successes+s.Failures+s.Ignored+s.Refused != callers*calls {
			t.Errorf("%d + %d + %d + %d calls in the books, want %d", s.Successes, s.Failures, s.Ignored, s.Refused, callers*calls)
		}
		b.Reset()
		time.Sleep(time.Minute)
		if s := b.Snapshot(); s.WindowCalls != 0 || s.WindowSlow != 0 || s.Probing != 0 {
			t.Errorf("%d calls, %d slow, %d probing when nothing runs", s.WindowCalls, s.WindowSlow, s.Probing)
		}
	})
}

func TestReconfigureKeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := breaker.MustNewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 3}})
		old := k.Get("old")
		old.Run(t.Context(), failed)
		if err := k.Reconfigure(breaker.Config{ConsecutiveFailures: 2}); err != nil {
			t.Fatal(err)
		}
		old.Run(t.Context(), failed)
		fresh := k.Get("fresh")
		fresh.Run(t.Context(), failed)
		fresh.Run(t.Context(), failed)
		if old.State() != breaker.Open || fresh.State() != breaker.Open || k.Get("old") != old {
			t.Errorf("old %v, fresh %v, want both open after two failures, and the old one kept", old.State(), fresh.State())
		}
		if err := k.Reconfigure(breaker.Config{Probes: -1}); err == nil {
			t.Error("no error for Probes: -1")
		}
	})
}

// A call that begins while SlowAfter comes and goes is never slow by a SlowAfter of zero.
func TestReconfigureSlowAfterBesideCalls(t *testing.T) {
	c := breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, MinCalls: 1, SlowRatio: 1e-9}
	b := breaker.MustNew(c)
	over := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := b.Run(t.Context(), fine); err != nil {
					t.Errorf("%v, and all calls are quick", err)
					return
				}
			}
		})
	}
	for i := range 10_000 {
		if c.SlowAfter = 0; i%2 == 0 {
			c.SlowAfter = time.Hour
		}
		if err := b.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
	}
	close(over)
	callers.Wait()
}

// However often the window changes, what is in it is of about the last window: nothing old stays for ever, nothing young is lost.
func TestReconfigureWindowStorm(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			windows := [2]time.Duration{time.Duration(5+r.IntN(100)) * 100 * time.Millisecond, time.Duration(5+r.IntN(100)) * 100 * time.Millisecond}
			long, short := max(windows[0], windows[1]), min(windows[0], windows[1])
			every := time.Duration(1+r.IntN(1000)) * time.Millisecond
			c := breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, Window: windows[0]}
			b := breaker.MustNew(c)
			var failures []time.Time
			for i := range 400 {
				time.Sleep(every)
				b.Run(t.Context(), failed)
				failures = append(failures, time.Now())
				c.Window = windows[(i+1)%2]
				reconfigured(t, b, c)
				seen := int(b.Snapshot().WindowFailures)
				forgotten := failures[:len(failures)-seen]
				if seen > 0 && time.Since(failures[len(forgotten)]) > long+2*long/10 {
					t.Fatalf("seed %d: windows of %v, changed each %v: a failure of %v ago is seen", seed, windows, every, time.Since(failures[len(forgotten)]))
				}
				if n := len(forgotten); n > 0 && time.Since(forgotten[n-1]) < short-3*long/10 {
					t.Fatalf("seed %d: windows of %v, changed each %v: a failure of %v ago is forgotten", seed, windows, every, time.Since(forgotten[n-1]))
				}
			}
		})
	}
}
