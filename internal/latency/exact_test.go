package latency_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

// exact are samples, sorted: what a window is compared to.
type exact []time.Duration

func sorted(ds []time.Duration) exact {
	ds = slices.Clone(ds)
	slices.Sort(ds)
	return ds
}

// quantile is the sample of rank ⌈q·n⌉.
func (e exact) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(len(e))))
	return e[min(max(rank, 1), len(e))-1]
}

// above is the share of samples above d.
func (e exact) above(d time.Duration) float64 {
	i, _ := slices.BinarySearch(e, d+1)
	return float64(len(e)-i) / float64(len(e))
}

var qs = []float64{0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.94, 0.95, 0.96, 0.98, 0.99, 0.999, 1}

// distributions of latencies, each as n samples.
func distributions(n int) map[string][]time.Duration {
	rnd := rand.New(rand.NewPCG(3, 4))
	of := func(next func() float64) []time.Duration {
		ds := make([]time.Duration, n)
		for i := range ds {
			ds[i] = time.Duration(next())
		}
		return ds
	}
	return map[string][]time.Duration{
		"constant":   of(func() float64 { return 12_345_678 }),
		"below 64ns": of(func() float64 { return 64 * rnd.Float64() }),
		"below 1µs":  of(func() float64 { return 1e3 * rnd.Float64() }),
		"uniform":    of(func() float64 { return 1e6 + 99e6*rnd.Float64() }),
		"log-normal": of(func() float64 { return 1e7 * math.Exp(0.5*rnd.NormFloat64()) }),
		"two modes": of(func() float64 {
			if rnd.Float64() < 0.95 {
				return 2e6 * (1 + 0.1*rnd.NormFloat64())
			}
			return 4e8 * (1 + 0.1*rnd.NormFloat64())
		}),
		"heavy tail": of(func() float64 { return min(1e6*math.Pow(rnd.Float64(), -1/0.8), 1e13) }), // Pareto
	}
}

// TestExact: a quantile is the exact one, rounded up by less than 1/32; what is above it is exact.
func TestExact(t *testing.T) {
	for name, ds := range distributions(20_000) {
		t.Run(name, func(t *testing.T) {
			w, want := latency.New(0), sorted(ds)
			for _, d := range ds {
				w.Record(0, d)
			}
			if n := w.Count(); n != uint64(len(ds)) {
				t.Errorf("Count() = %d of %d", n, len(ds))
			}
			for _, q := range qs {
				checkQuantile(t, w, want, q)
			}
			for _, d := range ds[:100] {
				checkAbove(t, w, want, d)
			}
		})
	}
}

func checkQuantile(t *testing.T, w *latency.Window, want exact, q float64) {
	t.Helper()
	got, ok := w.Quantile(q)
	x := want.quantile(q)
	if !ok || got < x || got-x > x/32 {
		t.Errorf("Quantile(%v) = %v, %v, want %v and no more than 1/32 above", q, got, ok, x)
	}
	above := w.Above(got)
	if above != want.above(got) {
		t.Errorf("Above(%v) = %v, want %v: it is the quantile %v", got, above, want.above(got), q)
	}
	if above > 1-q+1e-12 {
		t.Errorf("Above(Quantile(%v)) = %v", q, above)
	}
	if below := w.Above(x - x/31 - 1); x > 0 && below < 1-q-1e-12 {
		t.Errorf("Above = %v below Quantile(%v)", below, q)
	}
}

// checkAbove: exact at a time that is less than 1/32 away.
func checkAbove(t *testing.T, w *latency.Window, want exact, d time.Duration) {
	t.Helper()
	if got, least, most := w.Above(d), want.above(d+d/32), want.above(d); got < least || got > most {
		t.Errorf("Above(%v) = %v, want %v to %v", d, got, least, most)
	}
}

// TestEachBucket: the bound holds at the ends of the buckets, from 0 to hours.
func TestEachBucket(t *testing.T) {
	const longest = 1<<44 - 1
	var ds []time.Duration
	for e := range 44 {
		for m := range 33 {
			d := time.Duration(1)<<e + time.Duration(m)<<max(e-5, 0)
			ds = append(ds, d-1, d, d+1)
		}
	}
	slices.Sort(ds)
	last := time.Duration(-1)
	for _, d := range slices.Compact(ds) {
		if d > longest {
			break
		}
		w := record(d, latency.MinSamples)
		got, ok := w.Quantile(0.5)
		if !ok || got < d || got-d > d/32 || got < last {
			t.Errorf("%d ns reads as %d, %v; the one before as %d", d, got, ok, last)
		}
		if a := w.Above(d); a != 0 {
			t.Errorf("Above(%d) = %v where all are as long", d, a)
		}
		if a := w.Above(got + 1); a != 0 {
			t.Errorf("Above(%d) = %v where all are %d", got+1, a, d)
		}
		if a := w.Above(d - d/31 - 1); a != 1 && d > 0 {
			t.Errorf("Above(%d) = %v where all are %d", d-d/31-1, a, d)
		}
		last = got
	}
}

func record(d time.Duration, n int) *latency.Window {
	w := latency.New(time.Minute)
	for range n {
		w.Record(0, d)
	}
	return w
}

// TestOutside: no latency and no quantile does harm.
func TestOutside(t *testing.T) {
	const longest = 1<<44 - 1
	for _, test := range []struct{ d, want time.Duration }{
		{0, 0},
		{-1, 0},
		{math.MinInt64, 0},
		{1, 1},
		{longest, longest},
		{longest + 1, longest},
		{math.MaxInt64, longest},
	} {
		w := record(test.d, 10)
		for _, q := range []float64{math.NaN(), math.Inf(-1), -1, 0, 0.5, 1, 2, math.Inf(1)} {
			if got, ok := w.Quantile(q); got != test.want || !ok {
				t.Errorf("%d ns: Quantile(%v) = %d, %v, want %d", test.d, q, got, ok, test.want)
			}
		}
		if a := w.Above(test.d); a != 0 {
			t.Errorf("%d ns: Above = %v", test.d, a)
		}
	}
	w := latency.New(0)
	for i := range 10 {
		w.Record(0, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{-1: 0, 0: 0, 0.1: 0, 0.11: 1, 1: 9, 2: 9} {
		if got, _ := w.Quantile(q); got != want {
			t.Errorf("Quantile(%v) = %d, want %d", q, got, want)
		}
	}
	if got, _ := w.Quantile(math.NaN()); got != 0 {
		t.Errorf("Quantile(NaN) = %d", got)
	}
}

// TestTooFew: an empty window and one with a few samples have no quantiles.
func TestTooFew(t *testing.T) {
	w := latency.New(0)
	for n := range latency.MinSamples {
		if d, ok := w.Quantile(0.5); d != 0 || ok || w.Count() != uint64(n) {
			t.Errorf("%d samples: Quantile = %v, %v; Count = %d", n, d, ok, w.Count())
		}
		if a := w.Above(time.Second); a != 0 {
			t.Errorf("%d samples: Above = %v", n, a)
		}
		w.Record(0, time.Millisecond)
	}
	if d, ok := w.Quantile(0.5); d == 0 || !ok {
		t.Errorf("%d samples: Quantile = %v, %v", latency.MinSamples, d, ok)
	}
}
