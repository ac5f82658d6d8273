package failover_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// homes is the target of each key.
func homes(t *testing.T, g *failover.Group[int], keys int) []string {
	t.Helper()
	all := make([]string, keys)
	for k := range all {
		l, err := g.Pick(failover.WithKey(background, fmt.Sprint("user-", k)))
		if err != nil {
			t.Fatal(err)
		}
		all[k] = l.Name
		l.Done(nil)
	}
	return all
}

// The same key has the same target in each group, process and release: these are for ever.
func TestStickyGolden(t *testing.T) {
	want := []string{
		"t1", "t1", "t3", "t1", "t1", "t4", "t1", "t1", "t4", "t4", "t3", "t3", "t3", "t2", "t1", "t3", "t2", "t3", "t4", "t1", "t3", "t0", "t3", "t1",
	}
	for _, balance := range balances {
		g := failover.MustNew(failover.Config[int]{Targets: targets(5), Balance: balance})
		for range 3 {
			for k, got := range homes(t, g, len(want)) {
				if got != want[k] {
					t.Errorf("user-%d goes to %s, want %s", k, got, want[k])
				}
			}
		}
	}
	ts := targets(5)
	ts[0], ts[4], ts[1], ts[3] = ts[4], ts[0], ts[3], ts[1]
	for k, got := range homes(t, failover.MustNew(failover.Config[int]{Targets: ts}), len(want)) {
		if got != want[k] {
			t.Errorf("in another order user-%d goes to %s, want %s", k, got, want[k])
		}
	}
}

// A target that goes moves its own keys, to all others; one that comes takes its share, and moves no other.
func TestStickyMovesFew(t *testing.T) {
	const keys = 10_000
	g := failover.MustNew(failover.Config[int]{Targets: targets(10)})
	before := homes(t, g, keys)
	if err := g.Update(targets(10)[:9]); err != nil {
		t.Fatal(err)
	}
	after := homes(t, g, keys)
	moved := map[string]int{}
	for k := range before {
		if before[k] != after[k] {
			if before[k] != "t9" {
				t.Fatalf("user-%d has moved from %s to %s, as t9 has gone", k, before[k], after[k])
			}
			moved[after[k]]++
		}
	}
	if len(moved) != 9 {
		t.Errorf("moved %v", moved)
	}
	if err := g.Update(targets(11)); err != nil {
		t.Fatal(err)
	}
	came := 0
	for k, now := range homes(t, g, keys) {
		if now != before[k] {
			if came++; now != "t10" {
				t.Fatalf("user-%d has moved from %s to %s, as t10 has come", k, before[k], now)
			}
		}
	}
	if came < keys/11*8/10 || came > keys/11*12/10 {
		t.Errorf("%d keys have moved", came)
	}
}

// An ejected target's keys are elsewhere for that long, and back again after it.
func TestStickyThroughEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(4), Balance: failover.RoundRobin, GoodProbes: 1, FailureMargin: -1})
		before := homes(t, g, 1000)
		eject(t, g, 2)
		for k, now := range homes(t, g, 1000) {
			if now == "t2" || before[k] != "t2" && now != before[k] {
				t.Errorf("user-%d: %s, %s", k, before[k], now)
			}
		}
		time.Sleep(5 * time.Second)
		picks(t, g, 1) // a trial
		same := func() (n int) {
			for k, now := range homes(t, g, 1000) {
				if now == before[k] {
					n++
				} else if before[k] != "t2" {
					t.Errorf("user-%d: %s, %s", k, before[k], now)
				}
			}
			return n
		}
		last := 0
		for range 10 {
			if n := same(); n < last {
				t.Errorf("%d keys are back, after %d", n, last)
			} else {
				last = n
			}
			time.Sleep(time.Second)
		}
		if n := same(); n != 1000 {
			t.Errorf("%d of 1,000 are where they were", n)
		}
	})
}

// Each has keys for its weight.
func TestStickyWeights(t *testing.T) {
	weights := []float64{1, 0, 2, 4}
	g := failover.MustNew(failover.Config[int]{Targets: weighted(weights...)})
	const keys = 40_000
	n := map[string]float64{}
	for _, name := range homes(t, g, keys) {
		n[name]++
	}
	for i, w := range weights {
		share := max(w, 1) / 8
		if got := n[fmt.Sprint("t", i)] / keys; math.Abs(got-share) > 4*math.Sqrt(share/keys) {
			t.Errorf("target %d has %.4f of the keys, want %.4f", i, got, share)
		}
	}
}

// However hot a key is, no target has more than a quarter above the average under way, rounded up.
func TestStickyLoadIsBounded(t *testing.T) {
	for _, weights := range [][]float64{{1, 1, 1, 1, 1}, {1, 2, 3}} {
		g := failover.MustNew(failover.Config[int]{Targets: weighted(weights...)})
		sum := 0.0
		for _, w := range weights {
			sum += w
		}
		n := make([]float64, len(weights))
		for calls := 1; calls <= 500; calls++ {
			l, err := g.Pick(failover.WithKey(context.Background(), "hot"))
			if err != nil {
				t.Fatal(err)
			}
			n[l.Value]++
			for i, w := range weights {
				if most := 1.25*float64(calls)*w/sum + 1; n[i] > most {
					t.Fatalf("weights %v: target %d has %v of %d calls, want at most %.1f", weights, i, n[i], calls, most)
				}
			}
		}
	}
}
