package main

import (
	"context"
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// TestTail makes both runs for real. However fast this machine is, each call is accounted for, no more is hedged than
// was promised, and nothing is left behind.
func TestTail(t *testing.T) {
	before := runtime.NumGoroutine()
	const calls = tailRate / 2
	bare, hedged, err := measureTail(t.Context(), 500*time.Millisecond, 1, progress{out: t.Output()})
	if err != nil { // a body was left open
		t.Fatal(err)
	}
	for name, q := range map[string]*quickness{"bare": bare, "hedged": hedged} {
		if q.calls != calls || len(q.took)+q.shed != calls || q.refused != 0 || q.succeeded > len(q.took) {
			t.Errorf("%s: calls are missing: %d times, %d shed, %d succeeded of %d", name, len(q.took), q.shed, q.succeeded, q.calls)
		}
		if int(q.requests) < q.succeeded {
			t.Errorf("%s: %d requests for %d successes", name, q.requests, q.succeeded)
		}
		checkCurve(t, q.series(name).X, q.series(name).Y)
	}
	if int(bare.requests) > len(bare.took) || bare.policy.Calls != 0 {
		t.Errorf("bare: %d requests for %d calls, %d of them under a policy", bare.requests, len(bare.took), bare.policy.Calls)
	}
	s := hedged.policy
	if int(s.Calls) != len(hedged.took) || int(s.Successes) != hedged.succeeded || s.Wins > s.Hedges {
		t.Errorf("the policy counted otherwise: %+v", s)
	}
	if int(hedged.requests) > len(hedged.took)+int(s.Hedges) {
		t.Errorf("%d requests for %d calls and %d hedges", hedged.requests, len(hedged.took), s.Hedges)
	}
	const atFirst = 5 // hedges for nothing
	if most := extraLoad*calls + atFirst + 0.01*calls; float64(s.Hedges) > most || s.Hedges == 0 {
		t.Errorf("%d hedges for %d calls, want some, and %.0f at most", s.Hedges, calls, most)
	}
	noneLeft(t, before)
}

// checkCurve wants one from the fastest call to 99 % at least, that never falls.
func checkCurve(t *testing.T, shares, times []float64) {
	t.Helper()
	if len(shares) < 2*pointsPerNine || len(times) != len(shares) || shares[0] != 0 || shares[len(shares)-1] < 0.99 {
		t.Fatalf("a curve of %d points, over %v", len(times), shares)
	}
	for i := 1; i < len(times); i++ {
		if shares[i] <= shares[i-1] || times[i] < times[i-1] || times[i-1] <= 0 {
			t.Errorf("from %v at %v to %v at %v", times[i-1], shares[i-1], times[i], shares[i])
		}
	}
}

// TestAnotherReplica: where one does not answer, a second attempt asks the next.
func TestAnotherReplica(t *testing.T) {
	for name, policy := range map[string]*hedge.Policy{
		"bare":   nil,
		"hedged": hedge.MustNew(hedge.Config{Delay: time.Hour}),
	} {
		l, err := newLane(policy, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.replicas[2].end(); err != nil { // and nobody listens there any more
			t.Fatal(err)
		}
		err = l.call(t.Context(), 5)
		requests := [3]int64{}
		for i, r := range l.replicas {
			requests[i] = r.requests.Load()
		}
		switch {
		case policy == nil && (requests != [3]int64{} || !errors.Is(err, syscall.ECONNREFUSED)):
			t.Errorf("%s: %v, requests %v", name, err, requests)
		case policy != nil && (requests != [3]int64{1, 0, 0} || err != nil):
			t.Errorf("%s: %v, requests %v; want one of the first", name, err, requests)
		}
		l.replicas = l.replicas[:2] // the third has ended
		if err := l.end(); err != nil {
			t.Error(err)
		}
		if err := l.ask(t.Context(), l.replicas[0].url()); err != net.ErrClosed {
			t.Errorf("an attempt after the end: %v", err)
		}
	}
}

// TestTailInterrupted: what there is by then is reported, and the rest is not waited for.
func TestTailInterrupted(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &interrupter{at: "both ", cancel: cancel}
	if err := showTail(ctx, out, short(), progress{out: out}, &pictures{t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	missing(t, out.String(), "Interrupted", "  ***  bare\n", "  ooo  hedged\n", "Bare, half of ", "Hedged, half of ")
	noneLeft(t, before)
}
