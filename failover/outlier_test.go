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

// fleet is targets with a share of failures and a latency each, which share calls evenly. Nothing but the comparison with the
// others ejects there.
type fleet struct {
	fails []float64
	takes func(i int) time.Duration // nil: nothing
	r     *rand.Rand
	g     *failover.Group[int]
	heard changes
}

func newFleet(c failover.Config[int], seed uint64, fails ...float64) *fleet {
	f := &fleet{fails: fails, r: rand.New(rand.NewPCG(seed, 9))}
	c.Targets, c.ConsecutiveFailures, c.OnChange, c.Balance = targets(len(fails)), -1, f.heard.hear, failover.RoundRobin
	f.g = failover.MustNew(c)
	return f
}

// run makes calls, with so many begun in a second, for so long.
func (f *fleet) run(t *testing.T, perSecond int, span time.Duration) {
	t.Helper()
	for i := 0; i < int(span.Seconds()*float64(perSecond)); i++ {
		l, err := f.g.Pick(background)
		if err != nil {
			t.Fatal(err)
		}
		var result error
		if f.r.Float64() < f.fails[l.Value] {
			result = errDown
		}
		if f.takes == nil {
			l.Done(result)
		} else {
			time.AfterFunc(f.takes(l.Value), func() { l.Done(result) })
		}
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	synctest.Wait()
}

// ejected is which targets have been ejected.
func (f *fleet) ejected() map[int]bool {
	f.heard.mu.Lock()
	defer f.heard.mu.Unlock()
	all := map[int]bool{}
	for _, e := range f.heard.all {
		if e.To == failover.Ejected {
			var i int
			_, _ = fmt.Sscanf(e.Target, "t%d", &i)
			all[i] = true
		}
	}
	return all
}

// seenByMean is what the rule of the mean less 1.9 deviations of success rates finds (Envoy's).
func seenByMean(fails []float64) (n int) {
	mean, square := 0.0, 0.0
	for _, f := range fails {
		mean += 1 - f
		square += (1 - f) * (1 - f)
	}
	mean /= float64(len(fails))
	deviation := math.Sqrt(max(square/float64(len(fails))-mean*mean, 0))
	for _, f := range fails {
		if 1-f < mean-1.9*deviation {
			n++
		}
	}
	return n
}

// Every dead target is found, up to half of them, and no other; where a rule of mean and deviation sees none from 22 % on.
func TestDeadTargetsFound(t *testing.T) {
	for _, n := range []int{2, 5, 20, 100} {
		for _, percent := range []int{5, 10, 15, 20, 21, 22, 25, 30, 40, 50} {
			dead := n * percent / 100
			if dead == 0 {
				continue
			}
			for _, noise := range []float64{0, 0.05} {
				synctest.Test(t, func(t *testing.T) {
					fails := make([]float64, n)
					for i := range fails {
						fails[i] = noise
						if i < dead {
							fails[i] = 1
						}
					}
					f := newFleet(failover.Config[int]{}, uint64(n*percent), fails...)
					f.run(t, 10*n, 8*time.Second)
					found := f.ejected()
					for i := range fails {
						if found[i] != (i < dead) {
							t.Errorf("%d targets, %d dead: target %d ejected %v: %v", n, dead, i, found[i], f.heard.all)
						}
					}
					if share := float64(dead) / float64(n); noise == 0 && (seenByMean(fails) == 0) != (share > 0.217) {
						t.Errorf("%d targets, %d dead: the mean sees %d", n, dead, seenByMean(fails))
					}
				})
			}
		}
	}
}

// Of two targets that are half bad, or worse than the other by more than the margin, one is found.
func TestWorseTargetFound(t *testing.T) {
	for _, row := range []struct {
		fails []float64
		want  int // -1: none
	}{
		{[]float64{0, 1}, 1},
		{[]float64{0.5, 0}, 0},
		{[]float64{0.1, 0.6, 0.1}, 1},
		{[]float64{0.5, 0.5}, -1},
		{[]float64{1, 1}, -1},
		{[]float64{1, 1, 1, 1}, -1},
		{[]float64{0.2, 0.3}, -1}, // within the margin
		{[]float64{0, 0, 0, 0.1, 0}, -1},
	} {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(failover.Config[int]{}, seed, row.fails...)
				f.run(t, 20*len(row.fails), 11*time.Second)
				found := f.ejected()
				if row.want < 0 && len(found) > 0 || row.want >= 0 && (len(found) != 1 || !found[row.want]) {
					t.Errorf("%v, seed %d: ejected %v: %v", row.fails, seed, found, f.heard.all)
				}
			})
		}
	}
}

// Targets that are all the same are not ejected for what chance brings, at MinCalls and far above; those whose latencies have
// a heavy tail once in hours of so few calls.
func TestEqualTargetsStay(t *testing.T) {
	seeds := uint64(20)
	if raceEnabled || testing.Short() {
		seeds = 2
	}
	total := 0
	latencies := map[string]func(r *rand.Rand) time.Duration{
		"none":        nil,
		"normal":      func(r *rand.Rand) time.Duration { return time.Duration(max(10+3*r.NormFloat64(), 1) * 1e6) },
		"exponential": func(r *rand.Rand) time.Duration { return time.Duration(10e6 * r.ExpFloat64()) },
		"lognormal":   func(r *rand.Rand) time.Duration { return time.Duration(10e6 * math.Exp(r.NormFloat64())) },
		"stalls": func(r *rand.Rand) time.Duration {
			if r.Float64() < 0.01 {
				return time.Second
			}
			return 10 * time.Millisecond
		},
	}
	for name, latency := range latencies {
		for _, n := range []int{2, 3, 10} {
			for _, rate := range []int{2, 4, 50} { // for each target; 2 are MinCalls in the Window
				for _, fails := range []float64{0, 0.1, 0.3, 0.5} {
					if latency != nil && fails > 0 {
						continue
					}
					bad := 0
					for seed := range seeds {
						synctest.Test(t, func(t *testing.T) {
							all := make([]float64, n)
							for i := range all {
								all[i] = fails
							}
							f := newFleet(failover.Config[int]{}, seed, all...)
							if latency != nil {
								f.takes = func(int) time.Duration { return latency(f.r) }
							}
							f.run(t, rate*n, time.Minute)
							bad += len(f.heard.flaps("t0")) + len(f.heard.flaps("t1"))
						})
					}
					total += bad
					if heavy := name == "lognormal" || name == "stalls"; bad > 1 || bad > 0 && !heavy {
						t.Errorf("%s, %d targets, %d calls a second each, %.0f %% bad: %d ejections of two in %d min", name, n, rate, 100*fails, bad, seeds)
					}
				}
			}
		}
	}
	if total > 2 {
		t.Errorf("%d ejections in all", total)
	}
}

// So few calls whose latencies vary a lot say little: two targets alike are hardly ever told apart by them.
func TestFewCallsThatVary(t *testing.T) {
	bad := 0
	const seeds = 200
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(failover.Config[int]{}, seed, 0, 0)
			f.takes = func(int) time.Duration { return time.Duration(10e6 * math.Exp(1.3*f.r.NormFloat64())) }
			f.run(t, 4, time.Minute)
			bad += len(f.heard.flaps("t0")) + len(f.heard.flaps("t1"))
		})
	}
	if bad > 15 {
		t.Errorf("%d ejections of two in %d min", bad, seeds)
	}
}

// A target whose calls take several times as long as the others' is found, whatever the distribution; not where all are slow
// together, or one is faster.
func TestSlowTargetFound(t *testing.T) {
	const slowly = 10 * time.Millisecond
	for _, row := range []struct {
		times []float64 // of 10 ms
		want  int       // -1: none
	}{
		{[]float64{1, 5}, 1},
		{[]float64{1, 1, 5}, 2},
		{[]float64{1, 100, 1}, 1},
		{[]float64{100, 100, 100}, -1},
		{[]float64{1, 1, 1, 0.1}, -1},
		{[]float64{1, 1.5, 2, 2}, -1},
		{[]float64{0.001, 0.1}, -1}, // a hundred times, but that is 1 ms
	} {
		for _, exponential := range []bool{false, true} {
			for seed := range uint64(5) {
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(failover.Config[int]{}, seed, make([]float64, len(row.times))...)
					f.takes = func(i int) time.Duration {
						d := row.times[i] * float64(slowly)
						if exponential {
							d *= f.r.ExpFloat64()
						}
						return time.Duration(d)
					}
					f.run(t, 50*len(row.times), 12*time.Second)
					found := f.ejected()
					if row.want < 0 && len(found) > 0 || row.want >= 0 && (len(found) != 1 || !found[row.want]) {
						t.Errorf("%v, exponential %v, seed %d: ejected %v: %v", row.times, exponential, seed, found, f.heard.all)
					}
				})
			}
		}
	}
}

// All slow down at once, a hundredfold and for good: nobody is to blame. Then one of them does once more.
func TestAllSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := [3]time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
		f := newFleet(failover.Config[int]{}, 1, 0, 0, 0)
		f.takes = func(i int) time.Duration { return takes[i] }
		f.run(t, 150, 20*time.Second)
		takes = [3]time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}
		f.run(t, 150, time.Minute)
		if found := f.ejected(); len(found) > 0 {
			t.Errorf("ejected %v: %v", found, f.heard.all)
		}
		takes[1] *= 5
		f.run(t, 150, 20*time.Second)
		if found := f.ejected(); len(found) != 1 || !found[1] {
			t.Errorf("ejected %v: %v", found, f.heard.all)
		}
		if s := targetOf(f.g, "t0"); s.Latency.Mean != 100*time.Millisecond {
			t.Errorf("the mean is %v: all of each time is in it", s.Latency.Mean)
		}
	})
}

// A level that is further away is not slow for that.
func TestLevelsAreComparedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard changes
		ts := targets(7)
		for i := 5; i < 7; i++ {
			ts[i].Priority = 1
		}
		g := failover.MustNew(failover.Config[int]{
			Targets: ts, Balance: failover.RoundRobin, OnChange: heard.hear, ProbeInterval: time.Second,
			Probe: func(_ context.Context, i int) error { // so that some calls go to level 1
				if i < 2 {
					return errDown
				}
				return nil
			},
		})
		defer g.Close()
		far := 0
		for range 6000 {
			l, err := g.Pick(background)
			if err != nil {
				t.Fatal(err)
			}
			takes := 5 * time.Millisecond
			if l.Value >= 5 {
				takes = 50 * time.Millisecond
				far++
			}
			time.AfterFunc(takes, func() { l.Done(nil) })
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if far < 500 {
			t.Errorf("%d calls to level 1", far)
		}
		for i := 2; i < 7; i++ {
			if flaps := heard.flaps(ts[i].Name); len(flaps) > 0 {
				t.Errorf("%v", flaps)
			}
		}
	})
}

// What happened longer ago than the Window says nothing any more, though nobody has called since.
func TestWindowForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(failover.Config[int]{}, 1, 0, 1)
		f.run(t, 19, 2*time.Second) // 19 each: too few to judge by
		f.fails[1] = 0
		for range 10 { // a call to each now and then, which is the only time when anybody looks
			time.Sleep(9 * time.Second)
			f.run(t, 2000, time.Millisecond)
		}
		if found := f.ejected(); len(found) > 0 {
			t.Errorf("ejected %v: %v", found, f.heard.all)
		}
	})
}

// What came before an ejection does not count against a target that is back.
func TestBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard changes
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(2), Balance: failover.RoundRobin, OnChange: heard.hear, ConsecutiveFailures: 15, MaxEjected: 1,
			EjectFor: 10 * time.Millisecond, GoodProbes: 1, SlowStart: -1,
		})
		eject(t, g, 0) // in the first spell of the Window, which is still to be judged
		if s := targetOf(g, "t0"); s.Failures != 15 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(10 * time.Millisecond)
		for range 60 {
			l, _ := g.Pick(background)
			l.Done(nil)
		}
		time.Sleep(3 * time.Second)
		if flaps := heard.flaps("t0"); len(flaps) != 1 || stateOf(g, "t0") != failover.Healthy {
			t.Errorf("%v, %v", stateOf(g, "t0"), flaps)
		}
		if s := targetOf(g, "t0"); s.Failures != 15 {
			t.Errorf("it is counted all the same: %+v", s)
		}
	})
}
