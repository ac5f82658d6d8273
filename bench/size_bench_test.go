package bench_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	resiliency "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
)

// BenchmarkMemory is what one of 100,000 idle breakers takes, each with its rolling window.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	byRatio := breaker.Config{FailureRatio: ratio, MinCalls: minCalls, Window: window}
	each := func(one func() any) func() any {
		return func() any {
			all := make([]any, n)
			for i := range all {
				all[i] = one()
			}
			return all
		}
	}
	for _, s := range []struct {
		name string
		make func() any
	}{
		{"holdfast", each(func() any { return breaker.MustNew(byRatio) })},
		{"holdfast.Keyed", func() any {
			k := breaker.MustNewKeyed[int](breaker.KeyedConfig{Config: byRatio, MaxKeys: n})
			for i := range n {
				k.Get(i)
			}
			return k
		}},
		{"gobreaker", each(func() any { return gobreaker.NewCircuitBreaker[int](ratioSettings()) })},
		{"failsafe-go", each(func() any { return ratioBreaker() })},
		{"go-resiliency", each(func() any { return resiliency.New(5, 1, 5*time.Second) })},
		{"aegis", each(func() any {
			return sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(10), sre.WithRequest(minCalls))
		})},
	} {
		measured := sync.OnceValue(func() float64 { return float64(heldBy(s.make)) / n })
		b.Run("breakers/"+s.name, func(b *testing.B) {
			bytes := measured()
			for b.Loop() {
				runtime.KeepAlive(bytes)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bytes, "B/breaker")
		})
	}
}

// heldBy is by how much the heap grows by what make returns.
func heldBy(make func() any) int64 {
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what the first has found to have a cleanup
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	held := make()
	after := heap()
	runtime.KeepAlive(held)
	return after - before
}

// BenchmarkKeys looks up the breaker of one of so many hosts, beside a sync.Map of them without a bound.
func BenchmarkKeys(b *testing.B) {
	for n := 1; n <= 1_000_000; n *= 10 {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = "host-" + strconv.Itoa(i) + ".example"
		}
		rand.New(rand.NewPCG(1, uint64(n))).Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		ours := breaker.MustNewKeyed[string](breaker.KeyedConfig{MaxKeys: n})
		var plain sync.Map
		for _, key := range keys {
			plain.Store(key, ours.Get(key))
		}
		measure(b, strconv.Itoa(n),
			side{"holdfast", func(context.Context) func() error {
				next := inTurn(keys)
				return func() error { ours.Get(next()); return nil }
			}},
			side{"sync.Map", func(context.Context) func() error {
				next := inTurn(keys)
				return func() error { _, _ = plain.Load(next()); return nil }
			}})
	}
}

func inTurn(keys []string) func() string {
	i := rand.IntN(len(keys))
	return func() string {
		if i++; i >= len(keys) {
			i = 0
		}
		return keys[i]
	}
}

// BenchmarkWindow is a call through a closed breaker whose window is so many milliseconds.
func BenchmarkWindow(b *testing.B) {
	for _, ms := range []int{10, 100, 1000, 10_000, 100_000, 1_000_000} {
		d := time.Duration(ms) * time.Millisecond
		settings := ratioSettings()
		settings.Interval, settings.BucketPeriod = d, d/10
		measure(b, strconv.Itoa(ms),
			breakerSides(breaker.Config{ConsecutiveFailures: -1, FailureRatio: ratio, MinCalls: minCalls, Window: d})[0],
			gobreakerSide(settings),
			failsafeBreakerSide(circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(ratio, minCalls, d).WithDelay(5*time.Second).Build()))
	}
}

// BenchmarkTargets is a call to one of so many targets.
func BenchmarkTargets(b *testing.B) {
	fn := func(context.Context, int) (int, error) { return 1, nil }
	for n := 1; n <= 10_000; n *= 10 {
		var sides []side
		for _, balance := range balances {
			g := failover.MustNew(failover.Config[int]{Targets: targets(n), Balance: balance})
			sides = append(sides, does("holdfast."+balance.String(), func(ctx context.Context) error {
				_, err := failover.Do(ctx, g, fn)
				return err
			}))
		}
		measure(b, strconv.Itoa(n), sides...)
	}
}

// BenchmarkQueue is a call through a bulkhead with one place, for which so many others wait.
func BenchmarkQueue(b *testing.B) {
	for n := 1; n <= 10_000; n *= 10 {
		sides := bulkheads(1, n, yields)
		crowd(b, strconv.Itoa(n), n+1, sides[0], sides[2], sides[3])
	}
}

// BenchmarkGoroutines is a call through a stack of three that so many goroutines use.
func BenchmarkGoroutines(b *testing.B) {
	l := threeLayers()
	l.bulkhead.Limit = 20_000
	for n := 1; n <= 10_000; n *= 10 {
		crowd(b, fmt.Sprint(n), n, ourStacks(l)[0], failsafeStack(l), handNested(l, work))
	}
}
