package latency_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

// TestStormRotating: parts begin while all record, and none has ended: each sample counts once.
func TestStormRotating(t *testing.T) {
	const goroutines, each, span = 8, 100, 1000 // ns: the clock goes on by one at each sample
	for round := range 300 {
		w := latency.New(span)
		var clock atomic.Int64
		var recording, reading sync.WaitGroup
		var over atomic.Bool
		reading.Go(func() {
			for last := uint64(0); !over.Load(); {
				n := w.Count()
				if n < last || n > uint64(clock.Load()) {
					t.Errorf("Count() = %d after %d, with %d begun", n, last, clock.Load())
				}
				last = n
			}
		})
		for range goroutines {
			recording.Go(func() {
				for range each {
					n := clock.Add(1)
					w.Record(time.Duration(n), time.Duration(n*n*n))
				}
			})
		}
		recording.Wait()
		over.Store(true)
		reading.Wait()
		if n := w.Count(); n != goroutines*each {
			t.Fatalf("round %d: %d samples of %d", round, n, goroutines*each)
		}
	}
}

// TestStormDropping: parts begin and end while all record and read. What is seen is possible, and nothing stays behind.
func TestStormDropping(t *testing.T) {
	const goroutines, each, span = 8, 20_000, 4000
	w := latency.New(span)
	var clock atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 6))
			for range each {
				w.Record(time.Duration(clock.Add(1)), 1000+time.Duration(rnd.Int64N(1000)))
				if rnd.IntN(100) > 0 {
					continue
				}
				d, ok := w.Quantile(rnd.Float64())
				if ok && (d < 1000 || d > 2063) {
					t.Errorf("quantile %d of samples from 1000 to 1999", d)
				}
				if a := w.Above(d); a < 0 || a > 1 {
					t.Errorf("Above(%d) = %v", d, a)
				}
			}
		})
	}
	wg.Wait()
	// In each part a goroutine can be late once, or held up once.
	if n := w.Count(); n > span+4*goroutines || n < span*3/4-4*goroutines {
		t.Errorf("%d samples in a span of %d", n, span)
	}
	if w.Advance(time.Duration(clock.Load() + span)); w.Count() != 0 {
		t.Errorf("%d samples are left", w.Count())
	}
}

// TestStormOneBucket: all record the same at once, while the octave gets its stripes and on. Each sample counts once.
func TestStormOneBucket(t *testing.T) {
	const goroutines, each, met = 8, 5_000, 10
	w := latency.New(time.Hour)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range each {
				if w.Record(0, time.Millisecond); i%(each/met) == 0 {
					w.Meet(0, time.Millisecond) // cores may be too few, or too busy, to meet by themselves
				}
			}
		})
	}
	wg.Wait()
	if n := w.Count(); n != goroutines*(each+met) {
		t.Errorf("%d samples of %d", n, goroutines*(each+met))
	}
	if w.Wide() != 1 {
		t.Errorf("%d octaves have stripes, want 1", w.Wide())
	}
}

// TestStripes: an octave gets them when cores have met there so often, and then has all that was counted before.
func TestStripes(t *testing.T) {
	w := latency.New(time.Hour)
	for range 1000 {
		w.Record(0, time.Microsecond)
		w.Record(0, time.Millisecond)
	}
	for i := range 100 {
		w.Meet(0, time.Millisecond)
		want := 0
		if i >= 31 {
			want = 1
		}
		if n := w.Wide(); n != want {
			t.Fatalf("met %d times: %d octaves have stripes, want %d", i+1, n, want)
		}
	}
	for range 900 {
		w.Record(0, time.Millisecond)
	}
	if n, a := w.Count(), w.Above(time.Microsecond); n != 3000 || a != 2.0/3 {
		t.Errorf("Count() = %d, Above = %v", n, a)
	}
	for q, want := range map[float64]time.Duration{0.33: time.Microsecond, 0.34: time.Millisecond} {
		if d, ok := w.Quantile(q); !ok || !about(d, want) {
			t.Errorf("Quantile(%v) = %v, %v, want %v", q, d, ok, want)
		}
	}
}

// TestStormTracker: all record, read and change the target. In the end the value is that of the last target.
func TestStormTracker(t *testing.T) {
	const goroutines, each = 6, 60
	for round := range 300 {
		tr := latency.NewTracker(time.Hour, 0.5, 5)
		for range 100 {
			tr.Record(0, time.Millisecond)
			tr.Record(0, time.Second)
		}
		var clock atomic.Int64
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					now := time.Duration(clock.Add(int64(20 * time.Millisecond)))
					tr.Record(now, time.Millisecond)
					tr.Record(now, time.Second)
					if v, ok := tr.Value(); !ok || v < time.Millisecond {
						t.Errorf("value %v, %v", v, ok)
					}
				}
			})
		}
		low, high := 0.1, 0.9
		wg.Go(func() {
			for range each {
				low, high = high, low
				tr.SetTarget(low)
			}
		})
		wg.Wait()
		v, _ := tr.Value()
		if got := v > 500*time.Millisecond; got != (tr.Target() > 0.5) {
			t.Fatalf("round %d: value %v of quantile %v", round, v, tr.Target())
		}
	}
}
