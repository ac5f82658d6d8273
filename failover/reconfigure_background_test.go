package failover_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// Probes begin, and end, with the settings; calls find out who is well again where there are none. That none is left behind the
// end of the bubble shows.
func TestReconfigureStartsAndStopsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		p.set(0, isDown)
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), GoodProbes: 1, SlowStart: -1})
		reconfigure(t, g, func(c *failover.Config[int]) {
			c.Probe, c.ProbeInterval, c.EjectFor = p.probe, time.Second, 3*time.Second
		})
		time.Sleep(1300 * time.Millisecond)
		synctest.Wait()
		if s := stateOf(g, "t0"); s != failover.Ejected {
			t.Fatalf("%v after two bad probes", s)
		}
		time.Sleep(3 * time.Second)
		if l := pick(t, g); l.Value != 1 {
			t.Error("a call finds out though there are probes")
		} else {
			l.Done(nil)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.Probe, c.ProbeInterval, c.ProbeTimeout, c.BadProbes = nil, 0, 0, 0 })
		n := len(p.times(0))
		time.Sleep(time.Minute)
		if more := len(p.times(0)) - n; more > 0 {
			t.Errorf("%d probes after the end", more)
		}
		trial := pick(t, g)
		if trial.Done(nil); trial.Value != 0 || stateOf(g, "t0") != failover.Healthy {
			t.Errorf("%+v: want a call to find out", targetOf(g, "t0"))
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.Probe, c.ProbeInterval = p.probe, time.Second })
		time.Sleep(900 * time.Millisecond) // one bad probe, and none from before
		synctest.Wait()
		if s := stateOf(g, "t0"); s != failover.Healthy {
			t.Errorf("%v after one bad probe", s)
		}
		g.Close()
	})
}

// A pace that changes holds from the probe before: neither is the next one late by the old pace, nor do settings that come over
// and over hurry probes, or keep them off.
func TestReconfigurePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		g := failover.MustNew(failover.Config[int]{Targets: targets(1), Probe: p.probe, ProbeInterval: time.Hour})
		defer g.Close()
		time.Sleep(10 * time.Minute)
		if n := len(p.times(0)); n != 1 {
			t.Fatalf("%d probes", n)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.ProbeInterval = 20 * time.Minute })
		time.Sleep(20 * time.Minute)
		if n := len(p.times(0)); n != 2 {
			t.Errorf("%d probes, want a second by now", n)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.ProbeInterval = time.Minute })
		time.Sleep(66 * time.Second)
		synctest.Wait()
		n := len(p.times(0))
		for range 6000 {
			time.Sleep(100 * time.Millisecond)
			reconfigure(t, g, func(*failover.Config[int]) {})
		}
		if more := len(p.times(0)) - n; more < 9 || more > 12 {
			t.Errorf("%d probes in ten minutes, want one a minute", more)
		}
	})
}

// A probe under way counts, though there are other settings; one that does not heed its context is not waited for.
func TestReconfigureProbeUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		p.set(0, func(ctx context.Context) error { <-ctx.Done(); return errDown })
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Probe: p.probe, ProbeInterval: 10 * time.Second, ProbeTimeout: 3 * time.Second, BadProbes: 1})
		defer g.Close()
		time.Sleep(2 * time.Second)
		reconfigure(t, g, func(c *failover.Config[int]) { c.MaxTries = 2 })
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if s := stateOf(g, "t0"); s != failover.Ejected || len(p.times(0)) != 1 {
			t.Errorf("%v after %d probes", s, len(p.times(0)))
		}
	})
	for _, after := range []time.Duration{2 * time.Second, 20 * time.Second} { // before it is clear that it hangs, and after
		synctest.Test(t, func(t *testing.T) {
			var p probed
			var hung atomic.Int32
			free := make(chan struct{})
			deaf := func(ctx context.Context, i int) error { hung.Add(1); <-free; return nil }
			g := failover.MustNew(failover.Config[int]{Targets: targets(1), Probe: deaf, ProbeInterval: 10 * time.Second})
			time.Sleep(after)
			synctest.Wait()
			reconfigure(t, g, func(c *failover.Config[int]) { c.Probe = p.probe })
			time.Sleep(16 * time.Second)
			if n := len(p.times(0)); n == 0 || hung.Load() != 1 {
				t.Errorf("after %v: %d of the new probes, %d of the old", after, n, hung.Load())
			}
			time.Sleep(time.Minute)
			if s := stateOf(g, "t0"); s != failover.Healthy {
				t.Errorf("after %v: %v, though the new probes are good", after, s)
			}
			close(free)
			g.Close()
		})
	}
}

// One bad probe before the end of probes, and one after their new beginning, are not two in a row.
func TestReconfigureForgetsBadProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		p.set(0, isDown)
		with := func(c *failover.Config[int]) { c.Probe, c.ProbeInterval = p.probe, time.Minute }
		g := failover.MustNew(failover.Config[int]{Targets: targets(2)})
		defer g.Close()
		for range 3 {
			reconfigure(t, g, with)
			time.Sleep(10 * time.Second)
			reconfigure(t, g, func(c *failover.Config[int]) { c.Probe, c.ProbeInterval, c.ProbeTimeout, c.BadProbes = nil, 0, 0, 0 })
		}
		if n, s := len(p.times(0)), stateOf(g, "t0"); n != 3 || s != failover.Healthy {
			t.Errorf("%v after %d probes", s, n)
		}
	})
}

// The result of a probe that was cut off says nothing.
func TestReconfigureCutsProbesOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		p.set(0, func(ctx context.Context) error { <-ctx.Done(); return errDown })
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Probe: p.probe, ProbeInterval: 10 * time.Second, ProbeTimeout: 9 * time.Second, BadProbes: 1})
		time.Sleep(2 * time.Second)
		reconfigure(t, g, func(c *failover.Config[int]) { c.Probe, c.ProbeInterval, c.ProbeTimeout, c.BadProbes = nil, 0, 0, 0 })
		synctest.Wait()
		if s := targetOf(g, "t0"); s.State != failover.Healthy || s.LastError != "" || len(p.times(0)) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// The lookup beside calls is cut off, and what it finds is not heeded; the next call has the new Resolve asked.
func TestReconfigureResolve(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			old := lookups{takes: 10 * time.Second, deaf: deaf, do: func(int) ([]failover.Target[int], error) { return targets(5), nil }}
			present := lookups{takes: time.Second, do: func(int) ([]failover.Target[int], error) { return targets(3), nil }}
			var ended atomic.Bool
			g := failover.MustNew(failover.Config[int]{Targets: targets(1), Resolve: func(ctx context.Context) ([]failover.Target[int], error) {
				defer ended.Store(true)
				return old.resolve(ctx)
			}})
			call(t, g) // asks it
			time.Sleep(time.Second)
			reconfigure(t, g, func(c *failover.Config[int]) { c.Targets, c.Resolve = nil, present.resolve })
			synctest.Wait()
			if n := len(g.Config().Targets); n != 1 || ended.Load() == deaf {
				t.Errorf("%d targets, want the one that there was; the old lookup has ended: %v", n, ended.Load())
			}
			time.Sleep(time.Minute)
			if n := len(g.Config().Targets); n != 1 || present.n.Load() != 0 {
				t.Errorf("%d targets after %d lookups that no call has asked for", n, present.n.Load())
			}
			call(t, g)
			time.Sleep(2 * time.Second)
			if n := len(g.Config().Targets); n != 3 || present.n.Load() != 1 || old.n.Load() != 1 {
				t.Errorf("%d targets, %d old lookups, %d new", n, old.n.Load(), present.n.Load())
			}
			time.Sleep(30 * time.Second)
			call(t, g) // asks again
			time.Sleep(time.Second / 2)
			reconfigure(t, g, func(c *failover.Config[int]) { c.Targets, c.Resolve, c.ResolveEvery = targets(2), nil, 0 })
			time.Sleep(time.Minute)
			call(t, g)
			time.Sleep(time.Minute)
			if n := len(g.Config().Targets); n != 2 || present.n.Load() != 2 {
				t.Errorf("%d targets, %d lookups", n, present.n.Load())
			}
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Calls that wait for the first lookup go on with the targets of other settings, or wait for their Resolve: the one that looks, too.
func TestReconfigureFirstLookup(t *testing.T) {
	for _, with := range []string{"another Resolve", "targets", "both"} {
		synctest.Test(t, func(t *testing.T) {
			never := func(ctx context.Context) ([]failover.Target[int], error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			present := lookups{takes: time.Second, do: func(int) ([]failover.Target[int], error) { return targets(2)[1:], nil }}
			g := failover.MustNew(failover.Config[int]{Resolve: never})
			var all sync.WaitGroup
			began := time.Now()
			for range 20 {
				all.Go(func() {
					if v, err := whichOf(t.Context(), g); v != 1 || err != nil {
						t.Errorf("%d, %v", v, err)
					}
				})
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errGone)
			defer cancel()
			all.Go(func() {
				if _, err := whichOf(ctx, g); !errors.Is(err, errGone) {
					t.Error(err)
				}
			})
			time.Sleep(time.Second)
			want := time.Second
			reconfigure(t, g, func(c *failover.Config[int]) {
				switch c.Resolve = present.resolve; with {
				case "targets":
					c.Resolve, c.ResolveEvery = nil, 0
					fallthrough
				case "both":
					c.Targets = targets(2)[1:]
				default:
					want += time.Second
				}
			})
			all.Wait()
			if took := time.Since(began); took != want {
				t.Errorf("%s: it took %v, want %v", with, took, want)
			}
			if s := g.Snapshot(); s.Successes != 20 || s.Ignored != 1 || s.Calls != 21 {
				t.Errorf("%+v", s)
			}
			g.Close()
		})
	}
}

// Each function of a Config may change the settings that it is of: none is called under a lock.
func TestReconfigureFromWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *failover.Group[int]
		did := map[string]int{}
		var mu sync.Mutex
		change := func(by string) {
			mu.Lock()
			did[by]++
			n := did[by]
			mu.Unlock()
			c := g.Config()
			c.MaxTries = 2 + n%2
			if err := g.Reconfigure(c); err != nil && by != "probe" { // which may be under way when the group is closed
				t.Errorf("%s: %v", by, err)
			}
		}
		g = failover.MustNew(failover.Config[int]{
			ConsecutiveFailures: 1,
			Resolve: func(context.Context) ([]failover.Target[int], error) {
				if len(g.Config().Targets) > 0 { // the first one would be given up
					change("resolve")
				}
				return targets(3), nil
			},
			OnChange:   func(failover.Event) { change("change") },
			FailoverIf: func(error) bool { change("failover"); return true },
			CountIf:    func(error) bool { change("count"); return true },
			Budget:     budgetFunc(func() { change("budget") }),
			Probe:      func(context.Context, int) error { change("probe"); return nil },
		})
		for i := range 30 {
			_ = g.Run(t.Context(), func(_ context.Context, target int) error {
				time.Sleep(time.Second) // the lookup beside it is given up when the settings change
				if change("call"); i%3 == 0 && target == 0 {
					return errDown
				}
				return nil
			})
			time.Sleep(10 * time.Second)
		}
		g.Close()
		for _, by := range []string{"resolve", "change", "failover", "count", "budget", "probe", "call"} {
			if did[by] == 0 {
				t.Errorf("%s: never", by)
			}
		}
		if s := g.Snapshot(); s.Calls != 30 || s.Successes != 30 {
			t.Errorf("%+v", s)
		}
	})
}

// budgetFunc is a Budget without a bound.
type budgetFunc func()

func (f budgetFunc) Withdraw() bool { f(); return true }
func (f budgetFunc) Deposit()       { f() }

// call makes a call, which is good.
func call(t *testing.T, g *failover.Group[int]) {
	t.Helper()
	if _, err := whichOf(t.Context(), g); err != nil {
		t.Error(err)
	}
}

var errGone = errors.New("gone")
