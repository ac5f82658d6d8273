package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: slow calls hold up no other.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var calls atomic.Int32
		pace(t.Context(), 10, steady(100), 10, func(i int) {
			if got, want := time.Since(start), time.Duration(i)*10*time.Millisecond; got != want {
				t.Errorf("call %d at %v, want %v", i, got, want)
			}
			calls.Add(1)
			time.Sleep(time.Minute)
		}, func(i int) { t.Errorf("call %d was shed", i) })
		if calls.Load() != 10 || time.Since(start) != time.Minute+90*time.Millisecond {
			t.Errorf("%d calls in %v", calls.Load(), time.Since(start))
		}
	})
}

func TestPaceSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inFlight, calls, lost atomic.Int32
		pace(t.Context(), 100, steady(100), 3, func(int) {
			if n := inFlight.Add(1); n > 3 {
				t.Errorf("%d calls in flight", n)
			}
			calls.Add(1)
			time.Sleep(95 * time.Millisecond)
			inFlight.Add(-1)
		}, func(int) { lost.Add(1) })
		if calls.Load() != 30 || lost.Load() != 70 {
			t.Errorf("%d calls, %d shed; want 30 and 70", calls.Load(), lost.Load())
		}
	})
}

// TestPaceInterrupted: no call is started after the end, and those under way are waited for.
func TestPaceInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Millisecond)
		defer cancel()
		var ended atomic.Int32
		pace(ctx, 1000, steady(100), 1000, func(int) {
			time.Sleep(time.Second)
			ended.Add(1)
		}, nil)
		if ended.Load() != 5 {
			t.Errorf("%d calls ended, want 5", ended.Load())
		}
	})
}
