package hedge_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

func reconfigure(t *testing.T, p *hedge.Policy, c hedge.Config) {
	t.Helper()
	if err := p.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
}

// askHosts makes a request to each of two hosts, of which the second is slower.
func askHosts(t *testing.T, p *hedge.Policy) {
	t.Helper()
	via := hedge.Transport(p, roundTripper(func(r *http.Request) (*http.Response, error) {
		took := 10 * ms
		if r.URL.Host == "slow" {
			took = 50 * ms
		}
		time.Sleep(took)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	for _, host := range []string{"quick", "slow"} {
		if _, err := via.RoundTrip(request(t, "GET", "http://"+host+"/", nil)); err != nil {
			t.Fatal(err)
		}
	}
}

// The latencies, those of each host too, and the books stay as they are.
func TestReconfigureKeepsWhatItHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Name: "search", MaxHedges: 2})
		calls(t, p, 0, 100, func(i int, _ *rand.Rand) time.Duration { return time.Duration(1+i) * ms })
		for range 50 {
			askHosts(t, p)
		}
		_ = p.Run(t.Context(), fails)
		before := p.Snapshot()
		if len(before.Hosts) != 2 || before.Hosts[1].P50 < 50*ms || before.P50 == 0 || before.Failures != 1 || before.Hedges == 0 {
			t.Fatalf("%+v", before)
		}
		c := hedge.Config{Name: "another", Quantile: 0.9, MinDelay: 2 * ms, Memory: time.Hour, HedgeIf: func(error) bool { return false }}
		reconfigure(t, p, c)
		after := p.Snapshot()
		if !near(after.Delay, 89*ms) && !near(after.Delay, 90*ms) {
			t.Errorf("the delay is %v, want the new quantile", after.Delay)
		}
		after.Delay, after.At = before.Delay, before.At
		if !reflect.DeepEqual(after, before) {
			t.Errorf("%+v, want %+v", after, before)
		}
		if got := p.Config(); got.Name != "search" || got.Quantile != 0.9 || got.MaxHedges != 1 || got.Memory != time.Hour {
			t.Errorf("%+v", got)
		}
	})
}

// With another Memory, what was learned until then is known for one more, and new calls are from then on.
func TestReconfigureMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{})
		calls(t, p, 0, 100, constant(20*ms))
		time.Sleep(7 * time.Second)
		c := hedge.Config{Memory: 4 * time.Second}
		reconfigure(t, p, c)
		if got := p.Snapshot(); !near(got.Delay, 20*ms) || !near(got.P50, 20*ms) {
			t.Errorf("at first: %+v", got)
		}
		time.Sleep(2900 * ms)
		calls(t, p, 0, 1, constant(ms))
		if got := p.Snapshot(); !near(got.P50, 20*ms) {
			t.Errorf("three seconds later: %+v", got)
		}
		time.Sleep(1200 * ms)
		calls(t, p, 0, 1, constant(ms))
		if got := p.Snapshot(); got.P50 != 0 || got.Delay != 100*ms {
			t.Errorf("four seconds later: %+v", got)
		}
		calls(t, p, 0, 100, constant(20*ms))
		c.Memory = time.Minute
		reconfigure(t, p, c)
		time.Sleep(40 * time.Second)
		if got := p.Snapshot(); !near(got.P50, 20*ms) {
			t.Errorf("forty seconds of a minute later: %+v", got)
		}
		c.Memory = 4 * time.Second
		reconfigure(t, p, c)
		time.Sleep(4 * time.Second)
		if got := p.Snapshot(); got.P50 != 0 {
			t.Errorf("nobody has called or looked for four seconds: %+v", got)
		}
	})
}

// A higher Quantile takes more calls.
func TestReconfigureQuantile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{})
		calls(t, p, 0, 150, constant(20*ms))
		c := hedge.Config{Quantile: 0.99, FirstDelay: time.Second}
		reconfigure(t, p, c)
		if got := p.Snapshot(); got.Delay != time.Second || !near(got.P50, 20*ms) {
			t.Errorf("150 calls: %+v", got)
		}
		calls(t, p, 0, 49, constant(20*ms))
		if got := p.Snapshot(); got.Delay != time.Second {
			t.Errorf("199 calls: %+v", got)
		}
		calls(t, p, 0, 1, constant(20*ms))
		if got := p.Snapshot(); !near(got.Delay, 20*ms) {
			t.Errorf("200 calls: %+v", got)
		}
	})
}

// A host that was made by the old settings learns by the new ones.
func TestReconfigureHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Delay: time.Hour})
		for range 5 {
			askHosts(t, p)
		}
		reconfigure(t, p, hedge.Config{Quantile: 0.5, MaxExtraLoad: 0.5, FirstDelay: time.Second}) // five are enough
		got := p.Snapshot().Hosts
		if len(got) != 2 || !near(got[0].Delay, 10*ms) || !near(got[1].Delay, 50*ms) {
			t.Errorf("%+v", got)
		}
	})
}

// A call ends by the settings that it began with: its delay, its hedges, its budget, what it asks after a failure.
func TestReconfigureCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old, fresh till
		var asked [2]atomic.Int32
		c := free(10*time.Second, 2)
		c.Budget, c.HedgeIf = &old, func(error) bool { asked[0].Add(1); return false }
		p := hedge.MustNew(c)
		call := func(want ...time.Duration) func() {
			f, s := play(act{after: time.Minute}, act{after: 40 * time.Second, err: errBoom}, act{after: 50 * time.Second})
			return func() {
				_, err := hedge.Do(t.Context(), p, f)
				if got := s.all(); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%v; attempts at %v, want %v", err, got, want)
				}
			}
		}
		var both sync.WaitGroup
		both.Go(call(0, 10*time.Second, 20*time.Second))
		time.Sleep(5 * time.Second)
		c = free(time.Second, 1)
		c.Budget, c.HedgeIf = &fresh, func(error) bool { asked[1].Add(1); return true }
		reconfigure(t, p, c)
		both.Go(call(0, time.Second))
		both.Wait()
		if old != (till{2, 1}) || fresh != (till{1, 1}) {
			t.Errorf("the old budget: %+v, the new one: %+v", old, fresh)
		}
		if asked[0].Load()+asked[1].Load() != 0 { // of each, all attempts are made already
			t.Errorf("asked %d and %d times", asked[0].Load(), asked[1].Load())
		}
		if s := p.Snapshot(); s.Calls != 2 || s.Hedges != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// till is a Budget that counts.
type till struct{ withdrawn, deposited int }

func (b *till) Withdraw() bool { b.withdrawn++; return true }
func (b *till) Deposit()       { b.deposited++ }

// HedgeIf is that with which the call began; and so is what a Transport asks before it.
func TestReconfigureHedgeIf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(time.Hour, 1)
		c.HedgeIf = func(error) bool { return false }
		p := hedge.MustNew(c)
		attempts := 0
		err := p.Run(t.Context(), func(context.Context) error {
			attempts++
			c.HedgeIf = nil
			reconfigure(t, p, c)
			return errBoom
		})
		if err == nil || attempts != 1 {
			t.Errorf("%v after %d attempts, want one", err, attempts)
		}
		if err = p.Run(t.Context(), func(context.Context) error { attempts++; return errBoom }); err == nil || attempts != 3 {
			t.Errorf("%v after %d attempts, want three", err, attempts)
		}
		c.HedgeRequest = func(*http.Request) bool { return false }
		reconfigure(t, p, c)
		via := hedge.Transport(p, roundTripper(func(*http.Request) (*http.Response, error) { attempts++; return nil, errBoom }))
		if _, err := via.RoundTrip(request(t, "GET", "http://host/", nil)); err == nil || attempts != 4 {
			t.Errorf("%v after %d attempts, want four", err, attempts)
		}
	})
}

// slowCalls is how many of n calls, all of them slow, had a hedge.
func slowCalls(t *testing.T, p *hedge.Policy, n int) uint64 {
	t.Helper()
	before := p.Snapshot().Hedges
	for range n {
		f, _ := play(act{after: time.Second}, act{after: time.Second})
		if _, err := hedge.Do(t.Context(), p, f); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	return p.Snapshot().Hedges - before
}

// The credit is kept, whatever else changes; and calls in a time without a bound bring in none.
func TestReconfigureCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hedge.Config{Delay: 100 * ms, MaxExtraLoad: 0.0001}
		p := hedge.MustNew(c)
		if n := slowCalls(t, p, 3); n != 3 {
			t.Errorf("%d of the first calls, want all", n)
		}
		c.Delay = 200 * ms
		reconfigure(t, p, c)
		if n := slowCalls(t, p, 20); n != 2 {
			t.Errorf("%d hedges, want what was left", n)
		}
		c.MaxExtraLoad = -1
		reconfigure(t, p, c)
		if n := slowCalls(t, p, 500); n != 500 {
			t.Errorf("%d hedges of 500, want no bound", n)
		}
		c.MaxExtraLoad = 0.1
		reconfigure(t, p, c)
		if n := slowCalls(t, p, 9); n > 1 {
			t.Errorf("%d hedges of 9 calls, want at most their share", n)
		}
	})
}

// A stretch is for where there is a bound.
func TestReconfigureStretch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hedge.Config{MaxExtraLoad: 0.001, Memory: 1000 * time.Hour}
		p := hedge.MustNew(c)
		calls(t, p, 0, 2000, constant(ms))
		for i := 2000; i < 2900; i += 100 {
			calls(t, p, i, i+100, constant(time.Minute))
		}
		if s := p.Snapshot(); s.Delay <= s.P99 {
			t.Fatalf("the delay is %v, not stretched: %+v", s.Delay, s)
		}
		for _, share := range []float64{-1, 0.05} {
			c.MaxExtraLoad = share
			reconfigure(t, p, c)
			if s := p.Snapshot(); s.Delay != s.P95 {
				t.Errorf("%v: the delay is %v, want what was learned, %v", share, s.Delay, s.P95)
			}
		}
	})
}

func TestReconfigureBad(t *testing.T) {
	p := hedge.MustNew(hedge.Config{Name: "search", Delay: time.Second})
	var none *till
	err := p.Reconfigure(hedge.Config{MaxHedges: 11, Delay: ms, Quantile: 1, FirstDelay: -1, MinDelay: -1, Memory: 1, MaxExtraLoad: 11, Budget: none})
	for _, field := range []string{"MaxHedges", "Quantile", "FirstDelay", "MinDelay", "Memory", "MaxExtraLoad", "Budget"} {
		if err == nil || !strings.Contains(err.Error(), "hedge.Config."+field+":") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	if got := p.Config(); got.Delay != time.Second || got.MaxHedges != 1 || got.Memory != 30*time.Second {
		t.Errorf("%+v", got)
	}
	if got := p.Snapshot().Delay; got != time.Second {
		t.Errorf("the delay is %v", got)
	}
	if err := (*hedge.Policy)(nil).Reconfigure(hedge.Config{}); err == nil || !strings.HasPrefix(err.Error(), "hedge: a nil ") {
		t.Error(err)
	}
}

// 64 goroutines call while two others change the settings over and over: all calls are in the books, each value is returned or
// discarded once, and each context of an attempt ends.
func TestReconfigureBesideCalls(t *testing.T) {
	each := fewer(150, 40)
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{})
		var values books
		var all, changing sync.WaitGroup
		var calm atomic.Bool
		var good, bad, gone atomic.Uint64
		for g := range uint64(64) {
			all.Go(func() {
				for i := range uint64(each) {
					random := rand.New(rand.NewPCG(g, i))
					takes, slow := time.Duration(random.IntN(5000))*time.Microsecond, random.IntN(4) == 0
					fails, left := random.IntN(5) == 0, time.Duration(1+random.IntN(40))*ms
					ctx, cancel := context.WithTimeout(t.Context(), left)
					v, err := hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
						if n := hedge.AttemptFrom(ctx); slow && n == 1 {
							time.Sleep(30 * ms) // deaf
						}
						time.Sleep(takes)
						if fails {
							return 0, errBoom
						}
						return values.produce(), nil
					}, values.account)
					switch {
					case err == nil:
						good.Add(1)
						values.account(v)
					case ctx.Err() != nil:
						gone.Add(1)
					default:
						bad.Add(1)
					}
					cancel()
				}
			})
		}
		for g := range uint64(2) {
			random := rand.New(rand.NewPCG(g, 1e6))
			changing.Go(func() {
				for !calm.Load() {
					reconfigure(t, p, hedge.Config{
						MaxHedges: 1 + random.IntN(3), Delay: time.Duration(random.IntN(3)-1) * ms, Quantile: 0.5 + random.Float64()/2.1,
						MaxExtraLoad: []float64{-1, 0.01, 0.1, 1}[random.IntN(4)], Memory: time.Duration(1+random.IntN(5)) * time.Second,
						FirstDelay: time.Duration(1+random.IntN(5)) * ms, NoAttemptSpans: random.IntN(2) == 0,
					})
					_ = p.Config()
					_ = p.Snapshot()
					time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
				}
			})
		}
		all.Wait()
		calm.Store(true)
		changing.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		values.balance(t)
		s := p.Snapshot()
		if s.Calls != uint64(64*each) || s.Successes != good.Load() || s.Failures+s.Ignored != bad.Load()+gone.Load() {
			t.Errorf("%+v; the callers saw %d, %d, %d", s, good.Load(), bad.Load(), gone.Load())
		}
		if s.Hedges == 0 || s.Wins == 0 || min(good.Load(), bad.Load(), gone.Load()) == 0 {
			t.Errorf("not much happened: %+v", s)
		}
	})
}
