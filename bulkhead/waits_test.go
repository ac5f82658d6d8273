package bulkhead_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// waitFor has calls wait for a place that they do not get, for as long as is said, and returns when the last has gone.
func waitFor(t *testing.T, b *bulkhead.Bulkhead, waits []time.Duration) {
	t.Helper()
	var all sync.WaitGroup
	for _, d := range waits {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), d)
			defer cancel()
			if _, err := b.Acquire(ctx); what(err) != ended {
				t.Errorf("%q, want ended", what(err))
			}
		})
	}
	all.Wait()
}

// busy is a bulkhead whose only place is taken.
func busy(t *testing.T, c bulkhead.Config) *bulkhead.Bulkhead {
	t.Helper()
	c.Limit = 1
	b := bulkhead.MustNew(c)
	if _, err := b.TryAcquire(); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWaitsQuantiles: P50, P90 and P99 are within an eighth of the exact quantiles, and half a microsecond; Max is exact.
func TestWaitsQuantiles(t *testing.T) {
	shapes := map[string]func(r *rand.Rand) time.Duration{
		"all alike":         func(*rand.Rand) time.Duration { return 7 * time.Millisecond },
		"nanoseconds":       func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(5000)) },
		"microseconds":      func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(100_000)) },
		"1 to 50 ms":        func(r *rand.Rand) time.Duration { return time.Millisecond + time.Duration(r.IntN(49e6)) },
		"1 µs to 40 s":      func(r *rand.Rand) time.Duration { return time.Duration(1e3 * math.Exp(r.Float64()*math.Log(4e7))) },
		"short, some long":  func(r *rand.Rand) time.Duration { return time.Duration(1e6 + 30e9*float64(r.IntN(12)/11)) },
		"exponential 10 ms": func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * 1e7) },
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			for n, times := range map[int]int{1: 5, 2: 5, 3: 5, 10: 5, 99: 2, 100: 2, 1000: 1} {
				for seed := range times {
					r := rand.New(rand.NewPCG(uint64(seed), uint64(n)))
					waits := make([]time.Duration, n)
					for i := range waits {
						waits[i] = max(shape(r), 1)
					}
					synctest.Test(t, func(t *testing.T) {
						b := busy(t, bulkhead.Config{Queue: n})
						waitFor(t, b, waits)
						checkWaits(t, b.Snapshot(), waits)
					})
				}
			}
		})
	}
}

func checkWaits(t *testing.T, s bulkhead.Snapshot, waits []time.Duration) {
	t.Helper()
	n := len(waits)
	slices.Sort(waits)
	if s.Waits.Max != waits[n-1] || s.Waited != uint64(n) {
		t.Errorf("%d waited, at most %v; want %d, %v", s.Waited, s.Waits.Max, n, waits[n-1])
	}
	for _, q := range []struct {
		q   float64
		got time.Duration
	}{{0.5, s.Waits.P50}, {0.9, s.Waits.P90}, {0.99, s.Waits.P99}} {
		// Where the quantile falls between two, it may be either.
		low := waits[max(int(math.Ceil(q.q*float64(n)-1e-9))-1, 0)]
		high := waits[min(int(q.q*float64(n)+1e-9), n-1)]
		least, most := low-low/8-512, high+high/8+512
		if q.got < least || q.got > most {
			t.Errorf("%d waits: P%v is %v, want %v to %v", n, 100*q.q, q.got, low, high)
		}
	}
}

// TestWaitsAreForgotten: a wait counts for at least a minute and at most two, however often and whenever somebody looks.
func TestWaitsAreForgotten(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			b := busy(t, bulkhead.Config{Queue: 1})
			for range 40 {
				// One that tells itself apart by its length; then looks at random, not too many.
				time.Sleep(time.Duration(r.Int64N(int64(5 * time.Minute))))
				waitFor(t, b, []time.Duration{time.Second})
				end := time.Now()
				for age := time.Duration(0); age < 3*time.Minute; age = time.Since(end) {
					switch s := b.Snapshot(); {
					case age < time.Minute && s.Waits.Max != time.Second:
						t.Fatalf("seed %d: forgotten after %v", seed, age)
					case age > 2*time.Minute && s.Waits != bulkhead.Waits{}:
						t.Fatalf("seed %d: still there after %v: %+v", seed, age, s.Waits)
					}
					time.Sleep(time.Duration(r.Int64N(int64(100 * time.Second))))
				}
			}
		})
	}
}

// TestWaitsOfHours: what is longer than anybody waits is not lost, only not told apart.
func TestWaitsOfHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busy(t, bulkhead.Config{Queue: 3})
		waitFor(t, b, []time.Duration{100 * time.Hour, 100 * time.Hour, 100 * time.Hour})
		if w := b.Snapshot().Waits; w.Max != 100*time.Hour || w.P50 < time.Hour || w.P99 > w.Max {
			t.Errorf("%+v", w)
		}
	})
}
