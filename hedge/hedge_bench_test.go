package hedge_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/latency"
	"github.com/holdfast-go/holdfast/retry"
)

func work(context.Context) (int, error) { return 1, nil }

// TestAllocations: a call that needs no hedge makes at most six, in any door.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	for name, c := range map[string]hedge.Config{
		"fixed":         {Delay: time.Hour},
		"learned":       {},
		"budget":        {Delay: time.Hour, Budget: budget},
		"three, no end": {Delay: time.Hour, MaxHedges: 3, MaxExtraLoad: -1},
	} {
		p := hedge.MustNew(c)
		wrapped := hedge.Wrap(p, func(context.Context, int) (int, error) { return 1, nil })
		for door, test := range map[string]struct {
			call func()
			most float64
		}{
			"Do":        {func() { hedge.Do(ctx, p, work) }, 6},
			"DoDiscard": {func() { hedge.DoDiscard(ctx, p, work, func(int) {}) }, 6},
			"Run":       {func() { p.Run(ctx, func(context.Context) error { return nil }) }, 7}, // the function around fn
			"Wrap":      {func() { wrapped(ctx, 1) }, 7},
		} {
			if n := testing.AllocsPerRun(2000, test.call); n > test.most {
				t.Errorf("%s, %s: %v allocations, want at most %v", name, door, n, test.most)
			}
		}
	}
}

// BenchmarkQuiet is a call that needs no hedge.
func BenchmarkQuiet(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, c := range map[string]hedge.Config{"fixed": {Delay: time.Hour}, "learned": {}} {
		p := hedge.MustNew(c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hedge.Do(ctx, p, work); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/2cores", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := hedge.Do(ctx, p, work); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkHedge is a call whose first attempt hangs until it is cancelled, and whose second returns at once.
func BenchmarkHedge(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	second := func(ctx context.Context) (int, error) {
		if hedge.AttemptFrom(ctx) == 1 {
			<-ctx.Done()
		}
		return 1, nil
	}
	for name, delay := range map[string]time.Duration{"no delay": -1, "1us": time.Microsecond} {
		p := hedge.MustNew(free(delay, 1))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hedge.Do(ctx, p, second); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAfterFailure is a call whose first attempt fails at once.
func BenchmarkAfterFailure(b *testing.B) {
	p := hedge.MustNew(free(time.Hour, 1))
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, err := hedge.Do(ctx, p, func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				return 0, errBoom
			}
			return 1, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDenied is a call that would be hedged, at a policy that has no credit left.
func BenchmarkDenied(b *testing.B) {
	c := free(time.Hour, 1)
	c.Budget = gate(func() bool { return false })
	p := hedge.MustNew(c)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hedge.Do(ctx, p, func(context.Context) (int, error) { return 0, errBoom }); err != errBoom {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecord is what a call costs to be learned from.
func BenchmarkRecord(b *testing.B) {
	start := time.Now()
	b.Run("1core", func(b *testing.B) {
		seen := latency.NewTracker(30*time.Second, 0.95, 40)
		b.ReportAllocs()
		for b.Loop() {
			now := time.Since(start)
			seen.Record(now, now&(1<<24-1))
		}
	})
	b.Run("2cores", func(b *testing.B) {
		seen := latency.NewTracker(30*time.Second, 0.95, 40)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				now := time.Since(start)
				seen.Record(now, now&(1<<24-1))
			}
		})
	})
}

func BenchmarkSnapshot(b *testing.B) {
	p := hedge.MustNew(hedge.Config{})
	for range 1000 {
		hedge.Do(context.Background(), p, work)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Snapshot()
	}
}
