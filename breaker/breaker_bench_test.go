package breaker_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

var errBoom = errors.New("boom")

func work(context.Context) (int, error) { return 1, nil }

// BenchmarkClosed is a success through a closed breaker with a rolling window of ten buckets, both sides alike.
func BenchmarkClosed(b *testing.B) {
	ctx := context.Background()
	ours := breaker.MustNew(breaker.Config{Name: "bench"})
	theirs := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Interval: 10 * time.Second, BucketPeriod: time.Second})
	slow := breaker.MustNew(breaker.Config{SlowAfter: time.Second})
	for name, call := range map[string]func() error{
		"holdfast":       func() error { _, err := breaker.Do(ctx, ours, work); return err },
		"holdfast-slow":  func() error { _, err := breaker.Do(ctx, slow, work); return err },
		"holdfast-allow": func() error { p, err := ours.Allow(); p.Done(nil); return err },
		"gobreaker":      func() error { _, err := theirs.Execute(func() (int, error) { return work(ctx) }); return err },
	} {
		b.Run(name+"/1core", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/2cores", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := call(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkOpen is a refusal.
func BenchmarkOpen(b *testing.B) {
	ctx := context.Background()
	b.Run("holdfast", func(b *testing.B) {
		br := breaker.MustNew(breaker.Config{OpenFor: time.Hour, MaxOpenFor: time.Hour})
		br.Force(breaker.Open)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := breaker.Do(ctx, br, work); err == nil {
				b.Fatal("passed")
			}
		}
	})
	b.Run("gobreaker", func(b *testing.B) {
		br := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
			Timeout:     time.Hour,
			ReadyToTrip: func(gobreaker.Counts) bool { return true },
		})
		br.Execute(func() (int, error) { return 0, errBoom })
		b.ReportAllocs()
		for b.Loop() {
			if _, err := br.Execute(func() (int, error) { return work(ctx) }); err == nil {
				b.Fatal("passed")
			}
		}
	})
}

// BenchmarkIdle reports what 100,000 breakers that nobody calls keep on the heap.
func BenchmarkIdle(b *testing.B) {
	const n = 100_000
	b.Run("keyed", func(b *testing.B) {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = strconv.Itoa(i)
		}
		var total float64
		for b.Loop() {
			k, err := breaker.NewKeyed[string](breaker.KeyedConfig{MaxKeys: n})
			if err != nil {
				b.Fatal(err)
			}
			total += heapOf(func() {
				for _, key := range keys {
					k.Get(key)
				}
			})
			runtime.KeepAlive(k)
		}
		b.ReportMetric(total/float64(b.N)/n, "bytes/breaker")
	})
	b.Run("new", func(b *testing.B) {
		var total float64
		for b.Loop() {
			all := make([]*breaker.Breaker, n)
			total += heapOf(func() {
				for i := range all {
					all[i] = breaker.MustNew(breaker.Config{})
				}
			})
			runtime.KeepAlive(all)
		}
		b.ReportMetric(total/float64(b.N)/n, "bytes/breaker")
	})
}

func heapOf(make func()) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	make()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// BenchmarkKeyedGet is a hit among 100,000 keys.
func BenchmarkKeyedGet(b *testing.B) {
	const n = 100_000
	k, err := breaker.NewKeyed[string](breaker.KeyedConfig{MaxKeys: n})
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "host-" + strconv.Itoa(i) + ".example.com:443"
		k.Get(keys[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i += 7919 {
			if k.Get(keys[i%n]) == nil {
				b.Fatal("none")
			}
		}
	})
}
