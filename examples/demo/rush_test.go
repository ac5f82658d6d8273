package main

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// TestRush makes both runs for real. Whatever came of the calls, each is accounted for and nothing is left behind.
func TestRush(t *testing.T) {
	before := runtime.NumGoroutine()
	c := courseOf(time.Second)
	silent := progress{out: t.Output()}
	for name, g := range map[string]guard{"bare": unguarded, "bulkhead": behindBulkhead} {
		began := time.Now()
		r, err := measureRush(t.Context(), name, c, silent, g) // an error if a body is left open
		if err != nil {
			t.Fatal(err)
		}
		if n := r.calls; n.all != c.calls() || n.late() < 0 || len(r.good.took) != n.good || len(r.refusals.took) != n.refused {
			t.Errorf("%s: calls are missing: %+v", name, r)
		}
		if r.worked < r.calls.good || len(r.line) != 10 {
			t.Errorf("%s: worked on %d for %d answers; %d tenths of a second", name, r.worked, r.calls.good, len(r.line))
		}
		// By construction, however fast the machine is.
		if most := workers * (int(time.Since(began)/work) + 1); r.worked > most {
			t.Errorf("%s: worked on %d, more than the %d that %d workers can do", name, r.worked, most, workers)
		}
		if name == "bare" && r.calls.refused > 0 {
			t.Errorf("bare, and %d refusals", r.calls.refused)
		}
	}
	noneLeft(t, before)
}

// TestRushHolds: under overload the server behind the bulkhead gives at least a third of what it can do. It is close to
// all of it where the machine has nothing else to do: hence the margin, and three tries. One that has no time even to wake up
// who sleeps says nothing of the bulkhead.
func TestRushHolds(t *testing.T) {
	const asleep = 20 * time.Millisecond
	c := courseOf(time.Second)
	told := false
	for range 3 {
		var r *served
		var err error
		overslept := oversleeps(func() {
			r, err = measureRush(t.Context(), "bulkhead", c, progress{out: t.Output()}, behindBulkhead)
		})
		if err != nil {
			t.Fatal(err)
		}
		goodput := r.phases[overload].goodput()
		if goodput >= float64(capacity)/3 && r.calls.refused > 0 {
			return
		}
		t.Logf("%.0f/s, %d refused; a millisecond's sleep took %v", goodput, r.calls.refused, overslept)
		told = told || overslept < asleep
	}
	if !told {
		t.Skip("this machine has no time for it")
	}
	t.Error("the bulkhead does not hold")
}

// oversleeps is the longest that a millisecond's sleep took while f ran.
func oversleeps(f func()) (longest time.Duration) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for began := time.Now(); ; began = time.Now() {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				longest = max(longest, time.Since(began))
			}
		}
	}()
	f()
	close(over)
	<-ended
	return longest
}

// TestRushInterrupted: what there is by then is reported, and the rest is not waited for.
func TestRushInterrupted(t *testing.T) {
	before := runtime.NumGoroutine()
	for at, want := range map[string][]string{
		"bare ":     {"  ***  bare\n", "Ended before the overload"},
		"bulkhead ": {"Interrupted", "Bare, the server"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &interrupter{at: at, cancel: cancel}
		o := short()
		if err := showRush(ctx, out, o, progress{out: out}, &pictures{t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		cancel()
		missing(t, out.String(), want...)
	}
	noneLeft(t, before)
}

// TestServerEnds: who waits for a worker does not hold it up.
func TestServerEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := startServer(unguarded)
	if err != nil {
		t.Fatal(err)
	}
	for range workers {
		s.workers <- struct{}{} // all are busy, for good
	}
	transport := newTransport()
	client := &http.Client{Transport: transport}
	failed := make(chan error)
	for range 3 {
		go func() { failed <- get(context.Background(), client, s.url(), time.Hour) }()
	}
	for s.waiting.Load() < 3 {
		runtime.Gosched()
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := <-failed; err == nil {
			t.Error("a request that had no worker was answered")
		}
	}
	if s.worked.Load() != 0 || s.waiting.Load() != 0 {
		t.Errorf("%d worked on, %d waiting", s.worked.Load(), s.waiting.Load())
	}
	transport.CloseIdleConnections()
	noneLeft(t, before)
}
