package bulkhead_test

import (
	"context"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/bulkhead"
)

func work(context.Context) (int, error) { return 1, nil }

func BenchmarkFree(b *testing.B) {
	h := bulkhead.MustNew(bulkhead.Config{Limit: 100})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("Acquire", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				p, err := h.Acquire(ctx)
				if err != nil {
					b.Fatal(err)
				}
				p.Done(nil)
			}
		})
	})
	b.Run("Do", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := bulkhead.Do(ctx, h, work); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkRefused(b *testing.B) {
	h := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	if _, err := h.TryAcquire(); err != nil {
		b.Fatal(err)
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.TryAcquire(); err == nil {
				b.Fatal("a place")
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := h.TryAcquire(); err == nil {
					b.Fatal("a place")
				}
			}
		})
	})
}

// BenchmarkContended is eight goroutines that want one place.
func BenchmarkContended(b *testing.B) {
	h := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 8, Interval: -1})
	ctx := context.Background()
	b.ReportAllocs()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range b.N / 8 {
				p, err := h.Acquire(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				p.Done(nil)
			}
		})
	}
	all.Wait()
}
