package bench_test

import (
	"context"
	"runtime"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// BenchmarkBulkhead takes a place and gives it back, beside a plain semaphore. With one place, eight goroutines want it:
// all wait in turn, first come first served. Run it with -cpu 1,2.
func BenchmarkBulkhead(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, job := range []struct {
		name    string
		places  int
		atLeast int // goroutines
		ctx     context.Context
	}{
		{"free", 100, 1, ctx},
		{"contended", 1, 8, context.Background()},
		{"contended-cancellable", 1, 8, ctx},
	} {
		slots := bulkhead.MustNew(bulkhead.Config{Limit: job.places, Queue: 8, Interval: -1})
		weighted := semaphore.NewWeighted(int64(job.places))
		run := func(b *testing.B, body func(*testing.PB)) {
			b.ReportAllocs()
			b.SetParallelism((job.atLeast + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.RunParallel(body)
		}
		b.Run(job.name+"/holdfast", func(b *testing.B) {
			run(b, func(pb *testing.PB) {
				for pb.Next() {
					permit, err := slots.Acquire(job.ctx)
					if err != nil {
						b.Error(err)
						return
					}
					permit.Done(nil)
				}
			})
		})
		b.Run(job.name+"/semaphore", func(b *testing.B) {
			run(b, func(pb *testing.PB) {
				for pb.Next() {
					if err := weighted.Acquire(job.ctx, 1); err != nil {
						b.Error(err)
						return
					}
					weighted.Release(1)
				}
			})
		})
	}
}
