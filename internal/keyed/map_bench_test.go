package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/internal/keyed"
)

// full returns a map with n string keys, and the keys in an order that has nothing to do with that in memory.
func full(n int) (*keyed.Map[string, *int], []string) {
	m := keyed.New(keyed.Config[string, *int]{MaxKeys: n, IdleAfter: 1 << 62, New: func(string) *int { return new(int) }})
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("host-%06d.example", i)
		m.Get(keys[i])
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return m, keys
}

func BenchmarkGetHit(b *testing.B) {
	for _, n := range []int{1, 100, 100_000} {
		m, keys := full(n)
		b.Run(fmt.Sprintf("keys=%d/serial", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Get(keys[i])
				if i++; i == n {
					i = 0
				}
			}
		})
		b.Run(fmt.Sprintf("keys=%d/parallel", n), func(b *testing.B) {
			b.ReportAllocs()
			var workers atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				i := int(workers.Add(1)) * 7919 % n
				for pb.Next() {
					m.Get(keys[i])
					if i++; i == n {
						i = 0
					}
				}
			})
		})
	}
}

// BenchmarkGetMiss inserts a key that was never seen and evicts one, each time.
func BenchmarkGetMiss(b *testing.B) {
	m := keyed.New(keyed.Config[int, int]{MaxKeys: 1000, New: func(k int) int { return k }})
	b.ReportAllocs()
	k := 0
	for b.Loop() {
		m.Get(k)
		k++
	}
}
