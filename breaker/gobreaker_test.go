package breaker_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// Each trap of gobreaker v2.4.0 that the wrapping covers: first that it is there, then that ours is free of it. If the
// first half of one fails, gobreaker has changed, and the covering may go.

func theirs(st gobreaker.Settings) *gobreaker.TwoStepCircuitBreaker[int] {
	return gobreaker.NewTwoStepCircuitBreaker[int](st)
}

func TestTrapProbeEndsByGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := gobreaker.Settings{Timeout: time.Second, ReadyToTrip: func(gobreaker.Counts) bool { return true }}
		g := gobreaker.NewCircuitBreaker[int](first)
		g.Execute(func() (int, error) { return 0, errBoom })
		time.Sleep(2 * time.Second)
		inGoroutine(func() { g.Execute(func() (int, error) { runtime.Goexit(); return 0, nil }) })
		time.Sleep(1000 * time.Hour)
		if _, err := g.Execute(func() (int, error) { return 1, nil }); err == nil {
			t.Error("gobreaker is no longer wedged by Goexit in a probe")
		}

		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
		call(b, bad)
		time.Sleep(5 * time.Second)
		inGoroutine(func() {
			breaker.Do(context.Background(), b, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		})
		if s := b.Snapshot(); s.State != breaker.Open || s.Probing != 0 {
			t.Fatalf("state %v, %d probes: want Goexit to count as a failed probe", s.State, s.Probing)
		}
		time.Sleep(10 * time.Second)
		if err := call(b, ok); err != nil || b.State() != breaker.Closed {
			t.Errorf("error %v, state %v: want it to recover", err, b.State())
		}
	})
}

func TestTrapProbeHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := theirs(gobreaker.Settings{Timeout: time.Second, ReadyToTrip: func(gobreaker.Counts) bool { return true }})
		done, _ := g.Allow()
		done(errBoom)
		time.Sleep(2 * time.Second)
		g.Allow() // and never back
		time.Sleep(1000 * time.Hour)
		if _, err := g.Allow(); err == nil {
			t.Error("gobreaker no longer waits for ever for a probe")
		}
		// Ours: TestHungProbe.
	})
}

func TestTrapDoneTwice(t *testing.T) {
	g := theirs(gobreaker.Settings{})
	done, _ := g.Allow()
	done(errBoom)
	if done(errBoom); g.Counts().TotalFailures != 2 {
		t.Error("gobreaker no longer counts a second done")
	}

	b := breaker.MustNew(breaker.Config{})
	p, err := b.Allow()
	if err != nil {
		t.Fatal(err)
	}
	copied := p
	p.Done(errBoom)
	p.Done(errBoom)
	copied.Done(errBoom)
	next, _ := b.Allow() // may have the same slip
	p.Done(errBoom)
	next.Done(nil)
	if s := b.Snapshot(); s.Failures != 1 || s.Successes != 1 {
		t.Errorf("failures %d, successes %d: want 1 of each", s.Failures, s.Successes)
	}
}

func TestTrapStateInCallback(t *testing.T) {
	deadlocks := false
	var g *gobreaker.TwoStepCircuitBreaker[int]
	g = theirs(gobreaker.Settings{
		ReadyToTrip: func(gobreaker.Counts) bool { return true },
		OnStateChange: func(string, gobreaker.State, gobreaker.State) {
			asked := make(chan struct{})
			go func() { g.State(); close(asked) }()
			for range 1000 { // its lock is held here: the other goroutine cannot get any further
				runtime.Gosched()
			}
			select {
			case <-asked:
			default:
				deadlocks = true
			}
		},
	})
	done, _ := g.Allow()
	if done(errBoom); !deadlocks {
		t.Error("gobreaker no longer runs callbacks under its lock")
	}
	// Ours: TestEvents.
}

func TestTrapConsecutiveCutByWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := theirs(gobreaker.Settings{Interval: 10 * time.Second, BucketPeriod: time.Second})
		for range 100 {
			if done, err := g.Allow(); err == nil {
				done(errBoom)
			}
			time.Sleep(5 * time.Second)
		}
		if g.State() != gobreaker.StateClosed {
			t.Error("gobreaker's count of consecutive failures is no longer cut by its window")
		}

		b := breaker.MustNew(breaker.Config{Window: 10 * time.Second})
		for i := range 5 {
			if err := call(b, bad); !errors.Is(err, errBoom) {
				t.Fatalf("call %d: %v", i, err)
			}
			time.Sleep(5*time.Second - 1)
		}
		if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("after five failures far apart: %v, want a refusal", err)
		}
	})
}

func inGoroutine(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}
