package latency_test

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

// logNormal is what latencies of one kind of call mostly look like: here half of them below 10 ms, one in a hundred above 32.
func logNormal(n int) []time.Duration {
	rnd := rand.New(rand.NewPCG(1, 2))
	ds := make([]time.Duration, n)
	for i := range ds {
		ds[i] = time.Duration(1e7 * math.Exp(0.5*rnd.NormFloat64()))
	}
	return ds
}

func BenchmarkRecord(b *testing.B) {
	type recorder interface{ Record(now, d time.Duration) }
	kinds := []struct {
		name string
		make func() recorder
	}{
		{"window", func() recorder { return latency.New(0) }},
		{"tracker", func() recorder { return latency.NewTracker(0, 0.95, 10) }},
	}
	samples := []struct {
		name string
		ds   []time.Duration
	}{
		{"constant", []time.Duration{10 * time.Millisecond}},
		{"lognormal", logNormal(1 << 12)},
	}
	for _, k := range kinds {
		for _, s := range samples {
			b.Run(k.name+"/"+s.name, func(b *testing.B) {
				w := k.make()
				var seed atomic.Int64
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					i := int(seed.Add(1)) << 10
					for now := time.Duration(0); pb.Next(); now += 20 {
						w.Record(now, s.ds[i&(len(s.ds)-1)])
						i++
					}
				})
			})
		}
	}
}

// BenchmarkAsk is what it costs to have a quantile: by a scan of a window that one core has filled, and as a Tracker has it.
func BenchmarkAsk(b *testing.B) {
	t := latency.NewTracker(0, 0.95, 10)
	for i, d := range logNormal(1 << 12) {
		t.Record(time.Duration(i)*latency.DefaultSpan/(1<<12), d)
	}
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			t.Quantile(0.95)
		}
	})
	b.Run("value", func(b *testing.B) {
		for b.Loop() {
			t.Value()
		}
	})
}
