package bulkhead

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"
)

// simulated has a Sim use a finder.
type simulated struct{ *finder }

func (s simulated) Limit() int                           { return s.limit() }
func (s simulated) Refused()                             { s.pressed() }
func (s simulated) Done(now, start time.Duration, _ int) { s.succeeded(now, now-start) }
func findFrom(initial int) simulated                     { return simulated{newFinder(Adaptive{Initial: initial})} }

func workersOf(n int) func(time.Duration) int { return func(time.Duration) int { return n } }

func around(limit, knee, part float64) bool { return math.Abs(limit-knee) <= part*knee }

func exponential(_ time.Duration, r *rand.Rand) time.Duration {
	return time.Duration(20e6 * r.ExpFloat64())
}

// rateOf is so many times what n workers can do at 20 ms a call.
func rateOf(load float64, n int) func(time.Duration) float64 {
	return func(time.Duration) float64 { return load * float64(n) / 0.020 }
}

// simSeeds is five, or less where that would take too long.
func simSeeds() int {
	if isShort() {
		return 1
	}
	return 5
}

func isShort() bool {
	info, ok := debug.ReadBuildInfo()
	return testing.Short() || ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// eachSeed runs f for every seed, as many at a time as there are processors.
func eachSeed(f func(seed uint64)) {
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range simSeeds() {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			f(uint64(i + 1))
		})
	}
	all.Wait()
}

// TestFinderE13 is E13 without a Bulkhead, in more variants than the experiment itself has: in each phase the mean of the last ten
// seconds is within 15 % of the knee, and of all those seconds 97 % are, each for itself.
//
// Nothing is left out. Nearest to the edge are 10 workers: there a call more is a tenth of the knee, and log-normal latencies
// leave a few single seconds outside.
func TestFinderE13(t *testing.T) {
	var mu sync.Mutex
	settled, outside := 0, 0
	least, most := math.Inf(1), 0.0
	knees := []int{10, 20, 50, 100}
	if isShort() {
		knees = knees[:2]
	}
	for _, service := range SimServices {
		for _, loop := range []SimLoop{SimClosed, SimOpen, SimFollows} {
			for _, knee := range knees {
				eachSeed(func(seed uint64) {
					limits := SimE13(seed, knee, service.Draw, loop).Run(findFrom(20))
					mu.Lock()
					defer mu.Unlock()
					for i, phase := range SimSettled(limits) {
						if mean := SimMean(phase); !around(mean, float64(knee), 0.15) {
							t.Errorf("%s, %s, %d workers, seed %d, phase %d: %.1f: %.1f", service.Name, loop, knee, seed, i, mean, phase)
						}
						for _, limit := range phase {
							settled++
							if !around(limit, float64(knee), 0.15) {
								outside++
							}
							least, most = min(least, limit/float64(knee)), max(most, limit/float64(knee))
						}
					}
				})
			}
		}
	}
	t.Logf("outside of 15 %%: %d of %d seconds; the least is %.2f of the knee, the most %.2f", outside, settled, least, most)
	if outside*100 > settled*3 {
		t.Errorf("%d of %d seconds are outside of 15 %% around the knee, want at most 3 %%", outside, settled)
	}
}

// Half of the workers go, and come back.
func TestFinderCapacity(t *testing.T) {
	knee := func(now time.Duration) int {
		if now >= 20*time.Second && now < 40*time.Second {
			return 50
		}
		return 100
	}
	for name, rate := range map[string]func(time.Duration) float64{"closed": nil, "open": rateOf(1.5, 100)} {
		eachSeed(func(seed uint64) {
			s := &Sim{Seed: seed, Length: time.Minute, Workers: knee, Service: exponential, Rate: rate}
			limits := s.Run(findFrom(20))
			for i, phase := range SimSettled(limits) {
				if want := float64(knee(time.Duration(i) * 20 * time.Second)); !around(SimMean(phase), want, 0.15) {
					t.Errorf("%s, seed %d: %.0f, want %v", name, seed, phase, want)
				}
			}
		})
	}
}

// It does not matter where the search begins, but for how long it takes: 200 calls at a time on 5 workers take 800 ms each, and
// one at a time makes no more than 50 samples a second.
func TestFinderStart(t *testing.T) {
	for _, at := range []struct{ initial, knee, seconds int }{{200, 5, 30}, {200, 20, 10}, {200, 190, 10}, {5, 20, 10}, {5, 100, 20}, {1, 20, 60}} {
		eachSeed(func(seed uint64) {
			length := time.Duration(at.seconds+10) * time.Second
			s := &Sim{Seed: seed, Length: length, Workers: workersOf(at.knee), Service: exponential}
			limits := s.Run(findFrom(at.initial))
			tolerance := max(0.15*float64(at.knee), 1) // one call is a fifth of five
			if mean := SimMean(limits[at.seconds:]); math.Abs(mean-float64(at.knee)) > tolerance {
				t.Errorf("from %d, seed %d: %.0f, want %d", at.initial, seed, limits, at.knee)
			}
		})
	}
}

// A limit that does not bind does not rise, and one that does again is found.
func TestFinderAppLimited(t *testing.T) {
	eachSeed(func(seed uint64) {
		calls := SimE13(seed, 50, (*rand.Rand).ExpFloat64, SimClosed)
		calls.Service = exponential
		calls.Rate = func(now time.Duration) float64 {
			if now >= 20*time.Second && now < 40*time.Second {
				return rateOf(0.5, 50)(now)
			}
			return rateOf(1.5, 50)(now)
		}
		limits := calls.Run(findFrom(20))
		before, idle, after := SimMean(limits[10:20]), slices.Max(limits[21:40]), SimMean(limits[50:])
		if !around(before, 50, 0.15) || idle > 1.25*before || !around(after, 50, 0.15) {
			t.Errorf("seed %d: %.0f", seed, limits)
		}
	})
	// Nothing presses, ever.
	f := newFinder(Adaptive{Initial: 30})
	for now := time.Duration(0); now < time.Minute; now += time.Millisecond {
		if f.succeeded(now, 10*time.Millisecond); f.limit() > 30 {
			t.Fatalf("the limit is %d, and never did it bind", f.limit())
		}
	}
}

// A window above the knee in which nothing pressed says nothing, however quick its calls were.
func TestSearchUnpressedLift(t *testing.T) {
	s := newSearch(1, 200, 50)
	s.base, s.baseOf, s.kneeOf, s.spread, s.trial = math.Log(1e7), baseMemory, kneeMemory, 0.1, lift
	for range 10 {
		s.limit()
		s.read(reading{calls: 1000, log: s.base, spread: 0.1, inflight: s.at})
	}
	if got := s.limit(); got > 50 {
		t.Errorf("the limit is %d, want 50", got)
	}
}

// A minute without calls changes nothing.
func TestFinderIdle(t *testing.T) {
	eachSeed(func(seed uint64) {
		s := &Sim{Seed: seed, Length: 100 * time.Second, Workers: workersOf(50), Service: exponential, Rate: func(now time.Duration) float64 {
			if now >= 20*time.Second && now < 80*time.Second {
				return 0
			}
			return rateOf(1.5, 50)(now)
		}}
		limits := s.Run(findFrom(20))
		if !around(SimMean(limits[10:20]), 50, 0.15) || !around(SimMean(limits[85:]), 50, 0.15) {
			t.Errorf("seed %d: before %.0f, after %.0f", seed, limits[10:20], limits[80:])
		}
	})
}

// Five calls a second: nothing can be learned, and nothing binds.
func TestFinderLowTraffic(t *testing.T) {
	eachSeed(func(seed uint64) {
		s := &Sim{Seed: seed, Length: 5 * time.Minute, Workers: workersOf(50), Service: exponential, Rate: func(time.Duration) float64 { return 5 }}
		if limits := s.Run(findFrom(20)); slices.Max(limits) > 20.01 || slices.Min(limits) < 10 {
			t.Errorf("seed %d: %.0f", seed, limits)
		}
	})
}

// troubled signals overload for a second, for a tenth of the calls.
type troubled struct {
	simulated
	least, calls int
}

func (s *troubled) Done(now, start time.Duration, inflight int) {
	s.calls++
	if now > 20*time.Second && now < 21*time.Second && s.calls%10 == 0 {
		s.overloaded(now)
	} else {
		s.simulated.Done(now, start, inflight)
	}
	s.least = min(s.least, s.limit())
}

// A burst of signals brings the limit down, and it comes back by itself.
func TestFinderOverload(t *testing.T) {
	eachSeed(func(seed uint64) {
		s := &Sim{Seed: seed, Length: 80 * time.Second, Workers: workersOf(50), Service: exponential, Rate: rateOf(1.5, 50)}
		l := &troubled{simulated: findFrom(20), least: math.MaxInt}
		limits := s.Run(l)
		if least := slices.Min(limits[20:23]); least > 0.75*50 || !around(SimMean(limits[60:]), 50, 0.15) {
			t.Errorf("seed %d: %.0f", seed, limits[18:])
		}
	})
}

// Overload signals one by one.
func TestFinderSignals(t *testing.T) {
	const second = time.Second
	type step struct {
		at        time.Duration
		successes int
		signals   int
		want      int // the limit after them
	}
	for name, steps := range map[string][]step{
		"an idle finder: at once":         {{at: 5, signals: 1, want: 18}},
		"from the first moment":           {{at: 0, signals: 1, want: 18}},
		"one drop a window":               {{at: 5 * second, signals: 50, want: 18}, {at: 5*second + 50e6, signals: 50}, {at: 6 * second, signals: 1, want: 16}},
		"fewer than one in a hundred":     {{at: second, successes: 1000}, {at: second + 1, signals: 9}, {at: second + 2, signals: 1, want: 18}},
		"few at the window's beginning":   {{at: second, successes: 500}, {at: second + 1, successes: 500}, {at: second + 101e6, successes: 1}, {at: second + 102e6, signals: 9}, {at: second + 103e6, signals: 3, want: 18}},
		"after a pause the past is empty": {{at: second, successes: 1000}, {at: second + 101e6, successes: 1}, {at: 60 * second, signals: 1, want: 18}},
	} {
		f := newFinder(Adaptive{})
		want := 20
		for i, s := range steps {
			changed := false
			for range s.successes {
				changed = f.succeeded(s.at, time.Millisecond) || changed
			}
			for range s.signals {
				changed = f.overloaded(s.at) || changed
			}
			was := want
			if s.want > 0 {
				want = s.want
			}
			if f.limit() != want || changed != (want != was) {
				t.Errorf("%s, step %d: the limit is %d, changed: %t, want %d", name, i, f.limit(), changed, want)
			}
		}
	}
}

// Down to Min, every step is seen, and then there is none.
func TestFinderDownToMin(t *testing.T) {
	f := newFinder(Adaptive{Min: 3, Initial: 200})
	for now := time.Duration(0); f.limit() > 3; now += time.Second {
		was := f.limit()
		if changed := f.overloaded(now); !changed || f.limit() >= was || f.limit() < min(was*89/100, was-1) {
			t.Fatalf("from %d to %d, changed: %t", was, f.limit(), changed)
		}
	}
	if f.overloaded(time.Hour) || f.limit() != 3 {
		t.Errorf("below Min: %d", f.limit())
	}
}

// Whatever latencies there are, the limit stays where it may be, and the search stays sound.
func TestFinderOddLatencies(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, latency := range map[string]func() time.Duration{
		"none":       func() time.Duration { return 0 },
		"negative":   func() time.Duration { return -time.Second },
		"nanosecond": func() time.Duration { return 1 },
		"hours":      func() time.Duration { return 5 * time.Hour },
		"longest":    func() time.Duration { return math.MaxInt64 },
		"any":        func() time.Duration { return time.Duration(rng.Int64() >> rng.IntN(63)) },
		"0 or hours": func() time.Duration { return time.Duration(rng.IntN(2)) * time.Hour },
	} {
		f := newFinder(Adaptive{Min: 2, Max: 300})
		now := time.Duration(0)
		for range 200_000 {
			now += time.Duration(rng.IntN(2_000_000))
			f.pressed()
			changed, was := false, f.limit()
			if rng.IntN(1000) == 0 {
				changed = f.overloaded(now)
			} else {
				changed = f.succeeded(now, latency())
			}
			if l := f.limit(); l < 2 || l > 300 || changed != (l != was) {
				t.Fatalf("%s: from %d to %d, changed: %t", name, was, l, changed)
			}
			if now += time.Duration(rng.IntN(3) / 2 * rng.IntN(100_000)); rng.IntN(50_000) == 0 {
				now += time.Hour
			}
		}
		for _, x := range []float64{f.search.knee, f.search.kneeOf, f.search.base, f.search.baseOf, f.search.spread, f.search.use, f.latency} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Errorf("%s: %+v", name, f.search)
			}
		}
		if f.edge.Load() > int64(now+time.Minute) {
			t.Errorf("%s: the window's end is %v away", name, time.Duration(f.edge.Load())-now)
		}
	}
}

// What was learned of odd latencies is forgotten: then come usual ones.
func TestFinderAfterOddLatencies(t *testing.T) {
	for _, odd := range []time.Duration{0, time.Hour} {
		f := findFrom(20)
		for now := time.Duration(0); now < time.Second; now += time.Millisecond {
			f.succeeded(now, odd)
		}
		f.finder.from.Store(0) // the simulation begins at 0 again
		f.finder.edge.Store(0)
		s := &Sim{Seed: 1, Length: time.Minute, Workers: workersOf(50), Service: exponential}
		if limits := s.Run(f); !around(SimMean(limits[40:]), 50, 0.15) {
			t.Errorf("after %v: %.0f", odd, limits)
		}
	}
}

func TestFinderBounds(t *testing.T) {
	for _, row := range []struct {
		a    Adaptive
		want int
	}{
		{Adaptive{}, 20},
		{Adaptive{Min: 30}, 30},
		{Adaptive{Max: 10}, 10},
		{Adaptive{Min: 500}, 500},
		{Adaptive{Min: 30, Max: 40, Initial: 50}, 40},
		{Adaptive{Min: 30, Max: 40, Initial: 1}, 30},
		{Adaptive{Min: 7, Max: 7}, 7},
		{Adaptive{Min: 1, Max: 1}, 1},
	} {
		f := findOf(row.a)
		if f.limit() != row.want {
			t.Errorf("%+v: begins at %d, want %d", row.a, f.limit(), row.want)
		}
		if row.a.Min == 0 || row.a.Min != row.a.Max {
			continue
		}
		s := &Sim{Seed: 1, Length: 20 * time.Second, Workers: workersOf(5), Service: exponential}
		if limits := s.Run(f); !around(slices.Min(limits), float64(row.want), 1e-9) || !around(slices.Max(limits), float64(row.want), 1e-9) {
			t.Errorf("%+v: %.0f", row.a, limits)
		}
	}
}

func findOf(a Adaptive) simulated { return simulated{newFinder(a)} }

// A window is Window, or two latencies.
func TestFinderWindow(t *testing.T) {
	for _, row := range []struct{ window, latency, want time.Duration }{
		{0, time.Millisecond, 100 * time.Millisecond},
		{time.Second, time.Millisecond, time.Second},
		{time.Minute, time.Millisecond, time.Minute},
		{0, 300 * time.Millisecond, 600 * time.Millisecond},
		{0, time.Hour, longest},
	} {
		f := newFinder(Adaptive{Window: row.window})
		now := time.Duration(0)
		if ends := f.windows(now, row.latency, 3); len(ends) < 3 {
			t.Fatal("no windows")
		}
		length := time.Duration(f.edge.Load() - f.from.Load())
		if length < row.want*95/100 || length > row.want*105/100 {
			t.Errorf("Window %v, calls take %v: a window of %v, want %v", row.window, row.latency, length, row.want)
		}
	}
}

// windows records calls until n windows have ended, and returns when they did.
func (f *finder) windows(now, latency time.Duration, n int) (ends []time.Duration) {
	for range 1_000_000 {
		edge := f.edge.Load()
		now += f.window / 1000
		f.succeeded(now, latency)
		if f.edge.Load() != edge && f.roots.Load() == 0 {
			if ends = append(ends, now); len(ends) == n {
				break
			}
		}
	}
	return ends
}

// All at once, with the race detector.
func TestFinderStorm(t *testing.T) {
	f := newFinder(Adaptive{Min: 2, Max: 100, Window: time.Microsecond})
	began := time.Now()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for range 20_000 {
				now := time.Since(began)
				if rng.IntN(10) == 0 {
					f.pressed()
				}
				if rng.IntN(200) == 0 {
					f.overloaded(now)
				} else {
					f.succeeded(now, time.Duration(rng.IntN(1000)))
				}
				if l := f.limit(); l < 2 || l > 100 {
					t.Errorf("the limit is %d", l)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestFinderAllocations(t *testing.T) {
	f := newFinder(Adaptive{Window: time.Microsecond})
	now := time.Duration(0)
	if n := testing.AllocsPerRun(10_000, func() {
		now += 10 * time.Microsecond
		f.pressed()
		f.succeeded(now, time.Microsecond)
	}); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() { now += time.Second; f.overloaded(now) }); n != 0 {
		t.Errorf("%v allocations a signal, want none", n)
	}
}

// BenchmarkFinder is what an adaptive limit adds to a call: its record, and both readings of the clock.
func BenchmarkFinder(b *testing.B) {
	began := time.Now()
	call := func(f *finder) {
		start := time.Since(began)
		now := time.Since(began)
		f.succeeded(now, now-start)
	}
	for _, parallel := range []bool{false, true} {
		b.Run(fmt.Sprintf("parallel=%t", parallel), func(b *testing.B) {
			b.ReportAllocs()
			f := newFinder(Adaptive{})
			if !parallel {
				for b.Loop() {
					call(f)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call(f)
				}
			})
		})
	}
}
