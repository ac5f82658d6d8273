package hedge_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// usual is a service as most are.
var usual = lognormal(10*ms, 0.5)

// latencies are those under which MaxExtraLoad has to hold.
var latencies = map[string]times{
	"constant":            constant(10 * ms),
	"usual":               usual,
	"wide":                lognormal(10*ms, 1.5),
	"one slow in fifty":   bimodal(10*ms, 200*ms, 0.02),
	"one slow in five":    bimodal(10*ms, 200*ms, 0.2),
	"half slow":           bimodal(10*ms, 200*ms, 0.5),
	"heavy tail":          pareto(5*ms, 1.1),
	"no mean":             pareto(5*ms, 0.7),
	"all slower":          then(usual, 10_000, slower(usual, 20)),
	"all quicker":         then(slower(usual, 20), 10_000, usual),
	"slow and back":       then(then(usual, 5_000, slower(usual, 10)), 8_000, usual),
	"slower all the time": func(i int, random *rand.Rand) time.Duration { return usual(i, random) * time.Duration(1000+i) / 1000 },
	"to and fro": func(i int, random *rand.Rand) time.Duration {
		if i/500%2 == 0 {
			return usual(i, random)
		}
		return 10 * usual(i, random)
	},
}

// MaxExtraLoad holds, whatever the latency does and however the delay is set: there are no more hedges than that share of the
// calls, and the few at the start.
func TestMaxExtraLoad(t *testing.T) {
	for name, l := range latencies {
		for config, test := range map[string]struct {
			calls  int
			config hedge.Config
		}{
			"learned":           {fewer(20_000, 2_000), hedge.Config{MaxExtraLoad: 0.05}},
			"learned, 3 hedges": {fewer(4_000, 500), hedge.Config{MaxExtraLoad: 0.1, MaxHedges: 3, Quantile: 0.5}},
			"fixed":             {fewer(4_000, 500), hedge.Config{MaxExtraLoad: 0.1, Delay: 10 * ms}},
			"none":              {fewer(4_000, 500), hedge.Config{MaxExtraLoad: 0.02, Delay: -1, MaxHedges: 2}},
		} {
			t.Run(name+", "+config, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := calls(t, hedge.MustNew(test.config), 0, test.calls, l)
					if most := test.config.MaxExtraLoad*float64(test.calls) + 5; float64(s.Hedges) > most {
						t.Errorf("%d hedges of %d calls, want at most %v", s.Hedges, s.Calls, most)
					}
				})
			})
		}
	}
}

// The bound holds too where calls come by the clock, whether or not those before have returned, and from many goroutines.
func TestMaxExtraLoadOfConcurrentCalls(t *testing.T) {
	for name, l := range latencies {
		synctest.Test(t, func(t *testing.T) {
			p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05, MaxHedges: 2})
			n := fewer(4_000, 1_000)
			byTheClock(t, p, 0, n, ms, l)
			if s := p.Snapshot(); s.Hedges > uint64(n/20+5) {
				t.Errorf("%s: %d hedges of %d calls", name, s.Hedges, s.Calls)
			}
		})
	}
}

// byTheClock starts the calls from number from up to number to, one each interval, and waits for the last.
func byTheClock(t *testing.T, p *hedge.Policy, from, to int, interval time.Duration, l times) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(from), 4))
	for i := from; i < to; i++ {
		var takes [11]time.Duration
		for a := range takes {
			takes[a] = l(i, random)
		}
		go func() {
			_, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
				select {
				case <-time.After(takes[hedge.AttemptFrom(ctx)-1]):
				case <-ctx.Done():
				}
				return 1, nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(interval)
	}
	time.Sleep(time.Hour)
	synctest.Wait()
}

// Calls that begin at once have their share of hedges, although all that are slow want them at the same instant: whatever
// came before, and however long the delay is. If all of them are slow they have no more than that.
func TestManyAtOnceHaveTheirShare(t *testing.T) {
	for _, delay := range []time.Duration{10 * ms, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := hedge.MustNew(hedge.Config{Delay: delay, MaxExtraLoad: 0.05})
			for round, slow := range []int{40, 40, 1000, 40} {
				if slow < 1000 { // a slow-down is felt for a while
					calls(t, p, 0, 1000, constant(ms))
				}
				time.Sleep(time.Duration(round) * time.Minute)
				before := p.Snapshot()
				for i := range 1000 {
					takes := ms
					if i%(1000/slow) == 0 {
						takes = delay + 10*ms
					}
					go func() {
						f, _ := play(act{after: takes}, act{after: ms})
						if _, err := hedge.Do(t.Context(), p, f); err != nil {
							t.Error(err)
						}
					}()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				s := p.Snapshot()
				made, denied := int(s.Hedges-before.Hedges), int(s.Denied["load"]-before.Denied["load"])
				if slow < 1000 && (made != slow || denied != 0) || made > 50 {
					t.Errorf("%v, round %d: of 1000 calls %d are slow: %d hedges, %d denied", delay, round, slow, made, denied)
				}
			}
		})
	}
}

// Many calls at once, of which few are slow, are no reason to stretch the delay, or to have fewer hedges.
func TestManyAtOnceAreNoSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05})
		calls(t, p, 0, 1000, constant(10*ms))
		for round := range 3 {
			before := p.Snapshot()
			for i := range 5000 {
				f, _ := play(act{after: 10 * ms}, act{after: 10 * ms})
				if i%33 == 0 {
					f, _ = play(act{after: time.Second}, act{after: 10 * ms})
				}
				go func() { _, _ = hedge.Do(t.Context(), p, f) }()
			}
			time.Sleep(10 * time.Second)
			s := p.Snapshot()
			if made := s.Hedges - before.Hedges; made != 152 || s.Delay > s.P95*5/4 {
				t.Errorf("round %d: %d hedges; delay %v, 95th percentile %v; %v", round, made, s.Delay, s.P95, s.Denied)
			}
		}
	})
}

// What was not spent does not pay for a storm: ten at most.
func TestQuietHoursDoNotPay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Delay: 10 * ms, MaxExtraLoad: 0.05})
		byTheClock(t, p, 0, 10_000, ms, constant(ms))
		if s := calls(t, p, 0, 100, constant(20*ms)); s.Hedges < 5 || s.Hedges > 10+5 {
			t.Errorf("%d hedges of 100 slow calls", s.Hedges)
		}
	})
}

// Where hedges are wanted no more than they may be, nobody is denied one, but for chance.
func TestEnoughForTheTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			l    times
			want float64
		}{
			"one slow in fifty": {bimodal(10*ms, 200*ms, 0.02), 0.02},
			"usual":             {usual, 0.05},
			"heavy tail":        {pareto(5*ms, 1.1), 0.05},
		} {
			p := hedge.MustNew(hedge.Config{})
			s := calls(t, p, 0, fewer(10_000, 4_000), test.l)
			if share := s.HedgeShare(); share < test.want*0.7 || share > test.want*1.3 {
				t.Errorf("%s: share %.4f, want %.2f", name, share, test.want)
			}
			if s.Denied["load"] > s.Hedges/20 {
				t.Errorf("%s: %d denied and %d made", name, s.Denied["load"], s.Hedges)
			}
		}
	})
}

// Below zero is no bound.
func TestNoBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, share := range []float64{-1, -0.001} {
			p := hedge.MustNew(hedge.Config{MaxExtraLoad: share, Delay: 5 * ms, MaxHedges: 2})
			if s := calls(t, p, 0, 1000, constant(20*ms)); s.Hedges != 2000 || s.Denied["load"] != 0 {
				t.Errorf("%d hedges of 1000 calls, %v", s.Hedges, s.Denied)
			}
		}
	})
}

// When all calls slow down together, there are fewer hedges than before, not more; whether the delay is fixed or learned, and
// whether calls wait for each other or come by the clock.
func TestSlowTogetherIsFewerHedges(t *testing.T) {
	for name, test := range map[string]struct {
		config hedge.Config
		slow   int // calls
	}{
		"fixed":   {hedge.Config{Delay: 25 * ms, MaxExtraLoad: 0.05}, 2000},
		"learned": {hedge.Config{MaxExtraLoad: 0.05}, 500}, // then it is learned, and the usual latency
	} {
		for pattern, run := range map[string]func(t *testing.T, p *hedge.Policy, from, to int, l times){
			"in turn": func(t *testing.T, p *hedge.Policy, from, to int, l times) { calls(t, p, from, to, l) },
			"by the clock": func(t *testing.T, p *hedge.Policy, from, to int, l times) {
				byTheClock(t, p, from, to, 3*ms, l)
			},
		} {
			t.Run(name+", "+pattern, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := hedge.MustNew(test.config)
					run(t, p, 0, 4000, usual)
					before := p.Snapshot()
					run(t, p, 4000, 4000+test.slow, slower(usual, 20))
					s := p.Snapshot()
					was, is := before.HedgeShare(), float64(s.Hedges-before.Hedges)/float64(test.slow)
					if was < 0.03 || is > was*0.75 {
						t.Errorf("of the usual calls a share of %.4f was hedged, and of the slow ones %.4f", was, is)
					}
				})
			})
		}
	}
}

// Where the quantile would lead to more hedges than there may be, because latencies come in bursts, the delay is stretched; and
// it is never shorter than what was learned.
func TestDelayStretches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05})
		calls(t, p, 0, 1000, usual)
		s := p.Snapshot()
		if s.Delay < s.P95 || s.Delay > s.P95*5/4 {
			t.Errorf("delay %v, 95th percentile %v", s.Delay, s.P95)
		}
		longest := 0.0
		for i := 1000; i < 1200; i += 20 {
			calls(t, p, i, i+20, slower(usual, 5))
			s = p.Snapshot()
			longest = max(longest, float64(s.Delay)/float64(s.P95))
		}
		if longest < 1.05 {
			t.Errorf("the delay was at most %.2f times the quantile", longest)
		}
		calls(t, p, 1200, 6000, usual)
		if s = p.Snapshot(); s.Delay > s.P95*5/4 {
			t.Errorf("afterwards: delay %v, 95th percentile %v", s.Delay, s.P95)
		}
	})
}

// The stretch has a bound: ten times what was learned. The slow calls are so few, and remembered for so long, that what was
// learned stays as it is; and so many that without a bound the delay would be fourteen times that.
func TestStretchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05, Memory: 1000 * time.Hour})
		calls(t, p, 0, 10_000, constant(ms))
		calls(t, p, 10_000, 10_400, constant(time.Minute))
		s := p.Snapshot()
		if s.P95 > 2*ms {
			t.Fatalf("the 95th percentile is %v: this tests nothing", s.P95)
		}
		if stretch := float64(s.Delay) / float64(s.P95); stretch < 9 || stretch > 11 {
			t.Errorf("delay %v, %.1f times the 95th percentile of %v: want ten times", s.Delay, stretch, s.P95)
		}
	})
}

// A Budget bounds hedges together with retries: a hedge withdraws, and a success deposits, whoever won it.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := retry.MustNewBudget(retry.BudgetConfig{Capacity: 3, Ratio: 0.5, Floor: -1})
		c := free(10*ms, 1)
		c.Budget = budget
		p := hedge.MustNew(c)
		slow := func(context.Context) error { time.Sleep(20 * ms); return nil }
		var left []float64
		for range 6 {
			if err := p.Run(t.Context(), slow); err != nil {
				t.Fatal(err)
			}
			left = append(left, budget.Available())
		}
		// One goes out with each hedge, and a half comes in with each success.
		if want := []float64{2.5, 2, 1.5, 1, 0.5, 1}; !slices.Equal(left, want) {
			t.Errorf("tokens %v, want %v", left, want)
		}
		if s := p.Snapshot(); s.Hedges != 5 || s.Denied["budget"] != 1 || s.Denied["load"] != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Second)
		retries := retry.MustNew(retry.Config{Budget: budget, BaseDelay: -1})
		retries.Run(t.Context(), fails)
		if budget.Available() != 0 {
			t.Errorf("%v tokens left: want none, a retry took the last", budget.Available())
		}
		// An empty budget denies the attempt after a failure too.
		n := 0
		if err := p.Run(t.Context(), func(context.Context) error { n++; return errBoom }); err != errBoom || n != 1 {
			t.Errorf("%d attempts, %v", n, err)
		}
		if budget.Available() != 0 {
			t.Error("a failure has deposited")
		}
	})
}

// What is not made is not taken from the Budget: the load and the deadline are asked first; and nothing is deposited for calls
// that failed or whose caller went.
func TestBudgetIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var withdrawn, deposited atomic.Int32
		b := &purse{func() bool { withdrawn.Add(1); return true }, func() { deposited.Add(1) }}
		p := hedge.MustNew(hedge.Config{Budget: b, Delay: 10 * ms, MaxExtraLoad: 0.1})
		s := calls(t, p, 0, 100, constant(20*ms))
		if int(withdrawn.Load()) != int(s.Hedges) || s.Denied["load"] == 0 || deposited.Load() != 100 {
			t.Errorf("%d withdrawn, %d deposited; %+v", withdrawn.Load(), deposited.Load(), s)
		}
		deposited.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), ms)
		defer cancel()
		p.Run(t.Context(), fails)
		p.Run(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		_ = recovered(func() { p.Run(t.Context(), func(context.Context) error { panic("x") }) })
		if deposited.Load() != 0 {
			t.Errorf("%d deposited for what was no success", deposited.Load())
		}
	})
}

// Failures are bounded as slow calls are: a dependency that fails at once does not get twice the calls.
func TestFailuresAreBounded(t *testing.T) {
	p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05})
	for range 1000 {
		p.Run(t.Context(), fails)
	}
	if s := p.Snapshot(); s.Calls != 1000 || s.Failures != 1000 || s.Hedges > 55 {
		t.Errorf("%+v", s)
	}
}
