package bench_test

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	resiliency "github.com/eapache/go-resiliency/semaphore"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	failsafe "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/go-kratos/aegis/ratelimit"
	"github.com/go-kratos/aegis/ratelimit/bbr"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// BenchmarkBulkhead takes a place, calls, and gives it back. Free: there are places enough. Contended: eight goroutines want
// the only one, and wait in turn, first come first served. Refused: the only place is taken, and nobody waits. Try: the same,
// by who asks for a place and makes no call. Adaptive: the limit is found from latency, and does not bind.
func BenchmarkBulkhead(b *testing.B) {
	measure(b, "free", append([]side{twoAtomics()}, bulkheads(places, 0, work)...)...)
	crowd(b, "contended", 8, append([]side{mutex()}, bulkheads(1, 8, yields)...)...)
	benchmarkRefused(b)
	benchmarkAdaptive(b)
}

// twoAtomics is the floor of a place: one is counted, the call is made, and it is counted back.
func twoAtomics() side {
	fn := work
	var taken atomic.Int64
	return does("floor", func(ctx context.Context) error {
		taken.Add(1)
		_, err := fn(ctx)
		taken.Add(-1)
		return err
	})
}

// mutex is the floor of waiting in turn: it knows no context and no order.
func mutex() side {
	fn := yields
	var mu sync.Mutex
	return does("floor", func(ctx context.Context) error {
		mu.Lock()
		_, err := fn(ctx)
		mu.Unlock()
		return err
	})
}

// yields lets the others run while it has the place: on one core they would not come to want it otherwise.
func yields(context.Context) (int, error) {
	runtime.Gosched()
	return 1, nil
}

// bulkheads are the sides with so many places, and a queue for so many calls.
func bulkheads(limit, queue int, fn func(context.Context) (int, error)) []side {
	ours := bulkhead.MustNew(bulkhead.Config{Limit: limit, Queue: queue, Interval: -1})
	builder := failsafe.NewBuilder[int](uint(limit))
	if queue > 0 {
		builder = builder.WithMaxWaitTime(longTime)
	}
	theirs := builder.Build()
	weighted := semaphore.NewWeighted(int64(limit))
	simple := resiliency.New(limit, longTime)
	return []side{
		does("holdfast", func(ctx context.Context) error { _, err := bulkhead.Do(ctx, ours, fn); return err }),
		does("holdfast.Acquire", func(ctx context.Context) error {
			permit, err := ours.Acquire(ctx)
			if err != nil {
				return err
			}
			_, err = fn(ctx)
			permit.Done(err)
			return err
		}),
		failsafeSide("failsafe-go", fn, theirs),
		does("x-sync-semaphore", func(ctx context.Context) error {
			if err := weighted.Acquire(ctx, 1); err != nil {
				return err
			}
			defer weighted.Release(1)
			_, err := fn(ctx)
			return err
		}),
		does("go-resiliency", func(ctx context.Context) error {
			if err := simple.Acquire(); err != nil {
				return err
			}
			defer simple.Release()
			_, err := fn(ctx)
			return err
		}),
	}
}

func benchmarkRefused(b *testing.B) {
	ours := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	_, err := ours.TryAcquire()
	if err != nil {
		b.Fatal(err)
	}
	theirs := failsafe.New[int](1)
	weighted := semaphore.NewWeighted(1)
	var taken atomic.Int64
	taken.Store(1)
	if !theirs.TryAcquirePermit() || !weighted.TryAcquire(1) {
		b.Fatal("no place")
	}
	fn := work
	no := func(ok bool) error {
		if ok {
			return errPassed
		}
		return nil
	}
	full := failsafeSide("failsafe-go", fn, theirs)
	measure(b, "refused",
		does("floor", func(context.Context) error { return no(taken.Load() == 0) }),
		does("holdfast", func(ctx context.Context) error { _, err := bulkhead.Do(ctx, ours, fn); return refused(err) }),
		side{full.name, func(ctx context.Context) func() error {
			call := full.bind(ctx)
			return func() error { return refused(call()) }
		}},
	)
	measure(b, "try",
		does("floor", func(context.Context) error { return no(taken.Load() == 0) }),
		does("holdfast", func(context.Context) error { _, err := ours.TryAcquire(); return refused(err) }),
		does("failsafe-go", func(context.Context) error { return no(theirs.TryAcquirePermit()) }),
		does("x-sync-semaphore", func(context.Context) error { return no(weighted.TryAcquire(1)) }),
	)
}

func benchmarkAdaptive(b *testing.B) {
	fn := work
	ours := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 10, Max: 200, Initial: 20}})
	theirs := adaptivelimiter.NewBuilder[int]().WithLimits(10, 200, 20).Build()
	aegis := bbr.NewLimiter()
	measure(b, "adaptive",
		twoAtomics(),
		does("holdfast", func(ctx context.Context) error { _, err := bulkhead.Do(ctx, ours, fn); return err }),
		failsafeSide("failsafe-go", fn, theirs),
		does("aegis", func(ctx context.Context) error {
			done, err := aegis.Allow()
			if err != nil {
				return nil // it judges by the load of the processor, which a benchmark is
			}
			_, err = fn(ctx)
			done(ratelimit.DoneInfo{Err: err})
			return err
		}),
	)
}

// BenchmarkRate is a call under a limit of calls a second that is never reached. Holdfast's has a limit of calls at a time as
// well, and so have the peers that it is compared with.
func BenchmarkRate(b *testing.B) {
	const perSecond = 1e9
	fn := work
	var mu sync.Mutex
	var last time.Time
	ours := bulkhead.MustNew(bulkhead.Config{Limit: places, Rate: perSecond, Burst: math.MaxInt32})
	weighted := semaphore.NewWeighted(places)
	limiter := rate.NewLimiter(perSecond, math.MaxInt32)
	burst := func() ratelimiter.RateLimiter[int] { return ratelimiter.NewBursty[int](math.MaxInt32, time.Second) }
	measure(b, "free",
		does("floor", func(ctx context.Context) error {
			mu.Lock()
			last = time.Now()
			mu.Unlock()
			_, err := fn(ctx)
			return err
		}),
		does("holdfast", func(ctx context.Context) error { _, err := bulkhead.Do(ctx, ours, fn); return err }),
		does("semaphore+rate", func(ctx context.Context) error {
			if err := weighted.Acquire(ctx, 1); err != nil {
				return err
			}
			defer weighted.Release(1)
			if !limiter.Allow() {
				return errBoom
			}
			_, err := fn(ctx)
			return err
		}),
		failsafeSide("failsafe-go", fn, failsafe.New[int](places), burst()),
		does("x-time-rate", func(ctx context.Context) error {
			if !limiter.Allow() {
				return errBoom
			}
			_, err := fn(ctx)
			return err
		}),
		failsafeSide("failsafe-go.rate", fn, burst()),
	)
	_ = last
}
