package failover_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

var (
	background   = context.Background()
	errCancelled = context.Canceled
	errRefusal   = error(refusal{})
)

// refusal is what a breaker returns.
type refusal struct{}

func (refusal) Error() string { return "refused" }
func (refusal) Refused() bool { return true }

// stateOf is the state of a target.
func stateOf[T any](g *failover.Group[T], name string) failover.State {
	return targetOf(g, name).State
}

func targetOf[T any](g *failover.Group[T], name string) failover.TargetSnapshot {
	for _, t := range g.Snapshot().Targets {
		if t.Name == name {
			return t
		}
	}
	panic("no target " + name)
}

// changes is what OnChange has heard.
type changes struct {
	mu  sync.Mutex
	all []failover.Event
}

func (c *changes) hear(e failover.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, e)
}

// flaps are the ejections of a target that was healthy.
func (c *changes) flaps(name string) (all []failover.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.all {
		if e.Target == name && e.From == failover.Healthy && e.To == failover.Ejected {
			all = append(all, e)
		}
	}
	return all
}

// A primary that is up half of the time is taken back, and lost again, at most once in each hold; and no call is lost.
func TestFlaps(t *testing.T) {
	const (
		span = 20 * time.Minute
		step = 50 * time.Millisecond
	)
	for _, period := range []time.Duration{2 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, time.Minute, 3 * time.Minute} {
		for _, probes := range []bool{false, true} {
			for seed := range uint64(3) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, uint64(period)))
					start := time.Now().Add(-time.Duration(r.Int64N(int64(period))))
					up := func(i int) bool { return i > 0 || time.Since(start)%period < period/2 }
					var heard changes
					c := failover.Config[int]{Targets: targets(2), OnChange: heard.hear}
					if probes {
						c.ProbeInterval = time.Second
						c.Probe = func(_ context.Context, i int) error {
							if up(i) {
								return nil
							}
							return errDown
						}
					}
					g := failover.MustNew(c)
					defer g.Close()
					bad, lost := 0, 0
					for began := time.Now(); time.Since(began) < span; time.Sleep(step) {
						if _, err := failover.Do(t.Context(), g, func(_ context.Context, i int) (int, error) {
							if up(i) {
								return i, nil
							}
							bad++
							return i, errDown
						}); err != nil {
							lost++
						}
					}
					flaps := heard.flaps("t0")
					if len(flaps) == 0 || len(flaps) > int(span/(5*time.Second)) {
						t.Errorf("period %v, probes %v: %d flaps in %v", period, probes, len(flaps), span)
					}
					for i := range flaps[1:] {
						if next := flaps[i+1].At; next.Before(flaps[i].Until) {
							t.Errorf("period %v, probes %v: lost at %v, and again at %v, within the hold to %v", period, probes, flaps[i].At, next, flaps[i].Until)
						}
					}
					if most := 5*len(flaps) + int(span/(5*time.Second)); bad > most || lost > 0 {
						t.Errorf("period %v, probes %v: %d calls came to a primary that was down, want at most %d; %d lost", period, probes, bad, most, lost)
					}
				})
			}
		}
	}
}

// The share of a target that is back grows with the time since then, whatever the balance.
func TestSlowStart(t *testing.T) {
	for _, balance := range balances {
		for _, keyed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := failover.Config[int]{Targets: targets(2), Balance: balance, GoodProbes: 1, FailureMargin: -1, SlowStart: 10 * time.Second}
				g := failover.MustNew(c)
				eject(t, g, 0)
				time.Sleep(5 * time.Second)
				_ = g.Run(t.Context(), func(context.Context, int) error { return nil })
				if targetOf(g, "t0").State != failover.Healthy {
					t.Fatalf("%+v", targetOf(g, "t0"))
				}
				for second := range 12 {
					share := shareOf(t, g, 0, 2000, time.Second/2000, keyed)
					want := min(max(float64(second)+0.5, 1)/10, 1)
					switch {
					case keyed || balance == failover.LeastLoaded:
						want /= 2
					case balance == failover.RoundRobin:
						want /= 1 + want // the turns that it does not take are another's, and then comes its own turn
					case balance == failover.PeakEWMA && share < want+0.05 && share > want/2-0.05:
						want = share // all of those, as the other's calls have taken longer, or half of them
					}
					if share < want-0.05 || share > want+0.05 {
						t.Errorf("%v, keyed %v: %.3f of the calls in second %d, want %.3f", balance, keyed, share, second, want)
					}
				}
			})
		}
	}
}

// eject ends with a target ejected.
func eject(t *testing.T, g *failover.Group[int], target int) {
	t.Helper()
	for range 10_000 {
		l, err := g.Pick(background)
		if err != nil {
			t.Fatal(err)
		}
		if l.Value != target {
			time.Sleep(50 * time.Millisecond) // so that one that fails is not dear beside it, with PeakEWMA
			l.Done(nil)
			continue
		}
		l.Done(errDown)
		if g.Snapshot().Targets[target].State == failover.Ejected {
			return
		}
	}
	t.Fatalf("not ejected: %+v", g.Snapshot())
}

// shareOf is the share of calls that a target gets, while one takes as long.
func shareOf(t *testing.T, g *failover.Group[int], target, calls int, each time.Duration, keyed bool) float64 {
	t.Helper()
	n := 0
	for range calls {
		ctx := background
		if keyed {
			ctx = failover.WithKey(ctx, string(rune(rand.Int32N(10_000))+'0'))
		}
		l, err := g.Pick(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if l.Value == target {
			n++
		}
		time.Sleep(each)
		l.Done(nil)
	}
	return float64(n) / float64(calls)
}

// A level that gets no calls is not one whose targets are used in a panic.
func TestPanicIsOfLevelsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := targets(5)
		for i := 3; i < 5; i++ {
			ts[i].Priority = 1
		}
		var up atomic.Int32 // from here on
		up.Store(4)
		g := failover.MustNew(failover.Config[int]{Targets: ts, Balance: failover.RoundRobin, Probe: func(_ context.Context, i int) error {
			if i < int(up.Load()) {
				return errDown
			}
			return nil
		}})
		defer g.Close()
		time.Sleep(time.Minute)
		if g.Snapshot().Panic {
			t.Errorf("%+v", g.Snapshot())
		}
		for _, i := range picks(t, g, 100) {
			if i != 4 {
				t.Fatalf("a call goes to target %d", i)
			}
		}
		up.Store(5)
		time.Sleep(time.Minute)
		if !g.Snapshot().Panic {
			t.Errorf("%+v", g.Snapshot())
		}
		n := [5]int{}
		for range 300 {
			_ = g.Run(t.Context(), func(_ context.Context, i int) error { n[i]++; return errDown })
		}
		if n[0] < 90 || n[1] < 90 || n[2] < 90 {
			t.Errorf("all of level 0 is to be used: %v", n)
		}
	})
}
