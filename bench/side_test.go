package bench_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// side is one way of doing a job: holdfast's, a peer's, or the floor that nobody can be below. Every side of a job calls
// the same function, and has the same limits, ratios and windows; none sleeps.
type side struct {
	name string

	// bind returns the call for one goroutine, with its context. What a peer makes once for a context is made there.
	bind func(context.Context) func() error
}

// does is a side whose call takes the context.
func does(name string, call func(context.Context) error) side {
	return side{name, func(ctx context.Context) func() error {
		return func() error { return call(ctx) }
	}}
}

// measure makes each side a benchmark. Its goroutines are as many as there are cores: with -cpu 1 the calls follow one
// another, with -cpu 2 they are made beside each other, and a call takes one core twice the ns/op.
func measure(b *testing.B, job string, sides ...side) { crowd(b, job, 1, sides...) }

// crowd is measure with so many goroutines at least. Each has a context of its own that can be cancelled, as the requests of
// a server have.
func crowd(b *testing.B, job string, goroutines int, sides ...side) {
	for _, s := range sides {
		b.Run(job+"/"+s.name, func(b *testing.B) {
			b.ReportAllocs()
			share(b, max(goroutines, runtime.GOMAXPROCS(0)), s.bind)
		})
	}
}

// share makes b.N calls by so many goroutines. It is testing.B's RunParallel, but for what goes before the calls: with ten
// thousand goroutines, to start them is what takes the time. It also reports the processor time of a call: less than
// what the cores have says that other processes had the rest.
func share(b *testing.B, goroutines int, bind func(context.Context) func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	grain := int64(min(max(b.N/goroutines/100, 1), 1000)) // what one takes at a time
	var ready, over sync.WaitGroup
	ready.Add(goroutines)
	start := make(chan struct{})
	for range goroutines {
		over.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			call := bind(ctx)
			ready.Done()
			<-start
			for {
				rest := left.Add(-grain) + grain
				for range min(grain, rest) {
					if err := call(); err != nil {
						b.Error(err)
						return
					}
				}
				if rest <= grain {
					return
				}
			}
		})
	}
	ready.Wait()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	had := processorTime()
	b.ResetTimer()
	close(start)
	over.Wait()
	b.StopTimer()
	if took := processorTime() - had; took > 0 {
		b.ReportMetric(float64(took)/float64(b.N), "cpu-ns/op")
	}
	runtime.ReadMemStats(&after)
	// Rounded: testing.B cuts off what is after the point, and takes 1.99 allocations for one.
	b.ReportMetric(math.Round(float64(after.Mallocs-before.Mallocs)/float64(b.N)), "allocs/op")
	runtime.KeepAlive(liveHeap)
}

// liveHeap is for the collector to run about as often as in a service, which has more to keep than a benchmark: with a heap of
// nothing it runs a thousand times a second, and what is measured of whoever allocates is mostly that. It is never touched.
var liveHeap = make([]byte, 64<<20)

// What all sides do, and how: a function that succeeds at once; a window of ten seconds in ten steps; half of twenty calls.
const (
	window   = 10 * time.Second
	ratio    = 0.5
	minCalls = 20
	places   = 100
	attempts = 3
	limit    = time.Second // of an attempt
	longTime = time.Hour
)

var (
	errBoom   = errors.New("boom")
	errPassed = errors.New("the call was let through")
)

func work(context.Context) (int, error) { return 1, nil }

// bare is the floor of most jobs: the call, through a variable, as a policy calls it.
func bare() side {
	fn := work
	return does("floor", func(ctx context.Context) error { _, err := fn(ctx); return err })
}

// twice fails twice, then it succeeds.
type twice int

func (n *twice) work(context.Context) (int, error) {
	if *n++; *n <= 2 {
		return 0, errBoom
	}
	return 1, nil
}

// refused is for jobs in which the call has to be refused.
func refused(err error) error {
	if err == nil {
		return errPassed
	}
	return nil
}
