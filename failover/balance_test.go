package failover_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// weighted is targets of these weights.
func weighted(weights ...float64) []failover.Target[int] {
	ts := targets(len(weights))
	for i, w := range weights {
		ts[i].Weight = w
	}
	return ts
}

// picks is which targets so many calls get, one after the other.
func picks(t *testing.T, g *failover.Group[int], calls int) []int {
	t.Helper()
	all := make([]int, calls)
	for i := range all {
		l, err := g.Pick(background)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = l.Value
		l.Done(nil)
	}
	return all
}

func TestOrdered(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: weighted(1, 100, 100)})
	for _, i := range picks(t, g, 100) {
		if i != 0 {
			t.Fatal(i)
		}
	}
}

// RoundRobin: whatever the weights, in each window of calls a target has its share, and a few more or less at the most.
func TestRoundRobinIsSmooth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	rows := [][]float64{{1, 1, 1}, {0, 0, 2}, {5, 1, 1}, {1, 2, 3, 4}, {100, 1}, {1, 1, 1, 1, 0.5}, {8, 1, 1, 1, 1, 1, 1, 1, 1}}
	for range 20 {
		ws := make([]float64, 2+r.IntN(8))
		for i := range ws {
			ws[i] = 1 + 9*r.Float64()
		}
		rows = append(rows, ws)
	}
	for _, weights := range rows {
		g := failover.MustNew(failover.Config[int]{Targets: weighted(weights...), Balance: failover.RoundRobin})
		sum := 0.0
		for i, w := range weights {
			if w == 0 {
				weights[i] = 1
			}
			sum += weights[i]
		}
		const calls = 20_000
		all := picks(t, g, calls)
		for i, w := range weights {
			share, had := w/sum, make([]float64, calls+1) // had[k]: its part of the first k calls
			for k, x := range all {
				had[k+1] = had[k]
				if x == i {
					had[k+1]++
				}
			}
			if got := had[calls] / calls; math.Abs(got-share) > 0.0005 {
				t.Errorf("weights %.2f: target %d has %.5f of the calls, want %.5f", weights, i, got, share)
			}
			most := 0.0
			for _, window := range []int{7, 50, 333} {
				for k := window; k <= calls; k++ {
					most = max(most, math.Abs(had[k]-had[k-window]-share*float64(window)))
				}
			}
			if most > 3 {
				t.Errorf("weights %.2f: target %d has %.1f calls too many, or too few, of some in a row", weights, i, most)
			}
		}
	}
}

// LeastLoaded evens out what is under way, for the weights.
func TestLeastLoaded(t *testing.T) {
	for _, weights := range [][]float64{{1, 1, 1, 1}, {1, 0, 2, 4}} {
		g := failover.MustNew(failover.Config[int]{Targets: weighted(weights...), Balance: failover.LeastLoaded})
		sum, n := 0.0, make([]float64, len(weights))
		for i, w := range weights {
			if w == 0 {
				weights[i] = 1
			}
			sum += weights[i]
		}
		const calls = 800
		for range calls { // they stay under way
			l, err := g.Pick(background)
			if err != nil {
				t.Fatal(err)
			}
			n[l.Value]++
		}
		for i, w := range weights {
			if want := calls * w / sum; math.Abs(n[i]-want) > 0.05*want+3 {
				t.Errorf("weights %v: target %d has %.0f under way, want %.0f", weights, i, n[i], want)
			}
		}
	}
}

// LeastLoaded: of two targets the one where calls stay long gets few.
func TestLeastLoadedAvoidsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := spread(t, failover.LeastLoaded, 2000, func(i int) (time.Duration, error) {
			return []time.Duration{5 * time.Millisecond, 500 * time.Millisecond}[i], nil
		}, 2)
		if n[1] > 100 {
			t.Errorf("%v", n)
		}
	})
}

// spread is how many of the calls each target gets, a thousand begun in a second.
func spread(t *testing.T, b failover.Balance, calls int, do func(i int) (time.Duration, error), n int) []int {
	t.Helper()
	g := failover.MustNew(failover.Config[int]{Targets: targets(n), Balance: b, ConsecutiveFailures: -1, FailureMargin: -1, SlowFactor: -1})
	got := make([]int, n)
	for range calls {
		l, err := g.Pick(background)
		if err != nil {
			t.Fatal(err)
		}
		got[l.Value]++
		takes, result := do(l.Value)
		time.AfterFunc(takes, func() { l.Done(result) })
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Minute)
	return got
}

// PeakEWMA: one that fails fast attracts nobody, though nothing ejects it; nor does one that refuses.
func TestPeakEWMAFastFailure(t *testing.T) {
	for _, result := range []error{errDown, errRefusal} {
		synctest.Test(t, func(t *testing.T) {
			n := spread(t, failover.PeakEWMA, 10_000, func(i int) (time.Duration, error) {
				if i == 0 {
					return 100 * time.Microsecond, result
				}
				return 5 * time.Millisecond, nil
			}, 3)
			if n[0] > 100 {
				t.Errorf("%v: %v", result, n)
			}
		})
	}
}

// PeakEWMA: a slow target gets little. When it is fast again it is tried, and then gets its share; under load too.
func TestPeakEWMASlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		slow := func() bool { since := time.Since(began); return since > 5*time.Second && since < 15*time.Second }
		var n, duringSlow, after [3]int
		spread(t, failover.PeakEWMA, 90_000, func(i int) (time.Duration, error) {
			n[i]++
			takes := 5 * time.Millisecond
			switch since := time.Since(began); {
			case slow():
				duringSlow[i]++
				if i == 0 {
					takes = 2 * time.Second
				}
			case since > 80*time.Second:
				after[i]++
			}
			return takes, nil
		}, 3)
		if duringSlow[0] > 50 || duringSlow[0] == 0 {
			t.Errorf("while it is slow: %v", duringSlow)
		}
		if after[0] < 2500 || after[0] > 4200 {
			t.Errorf("a minute later: %v", after)
		}
	})
}

// PeakEWMA: the cost falls under load, however closely calls follow each other.
func TestPeakEWMACostFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(1), Balance: failover.PeakEWMA})
		call := func(takes time.Duration) {
			l, _ := g.Pick(background)
			time.Sleep(takes)
			l.Done(nil)
		}
		call(time.Second)
		if c := targetOf(g, "t0").Latency.Cost; c < 990*time.Millisecond || c > 1010*time.Millisecond {
			t.Errorf("%v: a peak is taken at once", c)
		}
		for range 10_000 { // 10 s: 1/e is left
			call(time.Millisecond)
		}
		if c := targetOf(g, "t0").Latency.Cost; c < 330*time.Millisecond || c > 400*time.Millisecond {
			t.Errorf("%v after ten seconds", c)
		}
		for range 90_000 {
			call(time.Millisecond)
		}
		if c := targetOf(g, "t0").Latency.Cost; c < 900*time.Microsecond || c > 2*time.Millisecond {
			t.Errorf("%v after a hundred seconds", c)
		}
	})
}

// Two choices: with 32 targets or more, and with weights, each has its share.
func TestTwoChoicesShares(t *testing.T) {
	for _, balance := range []failover.Balance{failover.LeastLoaded, failover.PeakEWMA} {
		g := failover.MustNew(failover.Config[int]{Targets: targets(40), Balance: balance})
		n := make([]int, 40)
		for _, i := range picks(t, g, 40_000) {
			n[i]++
		}
		if balance == failover.LeastLoaded { // nothing is under way: chance alone
			for i, n := range n {
				if n < 800 || n > 1200 {
					t.Errorf("target %d has %d calls of 40,000", i, n)
				}
			}
		}
	}
}

// Suspicion: a target that hangs is passed over before its calls time out, and is used again when it answers; one that was idle
// is not suspected; and where all hang, calls go somewhere.
func TestSuspicion(t *testing.T) {
	for _, balance := range balances {
		for _, keyed := range []bool{false, true} {
			t.Run(fmt.Sprint(balance, "/", keyed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hangs := [3]bool{}
					g := failover.MustNew(failover.Config[int]{Targets: targets(3), Balance: balance, Suspicion: 8, ConsecutiveFailures: -1, SlowFactor: -1, FailureMargin: -1})
					var n [3]int
					run := func(calls int) {
						n = [3]int{}
						for k := range calls {
							ctx := background
							if keyed {
								ctx = failover.WithKey(ctx, fmt.Sprint(k))
							}
							l, err := g.Pick(ctx)
							if err != nil {
								t.Fatal(err)
							}
							n[l.Value]++
							takes, result := 10*time.Millisecond, error(nil)
							if hangs[l.Value] {
								takes, result = 2*time.Second, context.DeadlineExceeded
							}
							time.AfterFunc(takes, func() { l.Done(result) })
							time.Sleep(5 * time.Millisecond)
						}
					}
					run(400)
					time.Sleep(time.Hour) // idle
					run(3)
					if spare := n[1] + n[2]; balance == failover.Ordered && !keyed && spare > 0 {
						t.Errorf("suspected after it was idle: %v", n)
					}
					run(100)
					hangs[0] = true
					run(300) // 1.5 s: no call has timed out yet
					if n[0] > 120 {
						t.Errorf("calls to the one that hangs: %v", n)
					}
					run(100)
					if n[0] > 30 {
						t.Errorf("calls to the one that still hangs: %v", n)
					}
					hangs[0] = false
					time.Sleep(2 * time.Second)
					run(300)
					if n[0] < 50 && (keyed || balance != failover.PeakEWMA) { // which waits until it has forgotten
						t.Errorf("calls to the one that is back: %v", n)
					}
					hangs = [3]bool{true, true, true}
					run(300)
					if n[0]+n[1]+n[2] != 300 {
						t.Errorf("%v", n)
					}
				})
			})
		}
	}
}
