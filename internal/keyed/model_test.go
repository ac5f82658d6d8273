package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/keyed"
)

// script runs operations, one to each pair of bytes, on a map and on the reference, and returns how they differ. It runs
// in a bubble: the clock stands still but for the waits of the script.
func script(code []byte) (diff string) {
	const idle = time.Minute
	r := newReference(1+len(code)%7, idle)
	made := map[int]int{}
	var gone []evicted
	m := keyed.New(keyed.Config[int, value]{
		MaxKeys: r.max, IdleAfter: idle,
		New:     func(k int) value { made[k]++; return value{k, made[k]} },
		Evicted: func(k int, v value) { gone = append(gone, evicted{k, v}) },
	})
	for i := 0; i+1 < len(code); i += 2 {
		k := int(code[i+1] % 16)
		step := fmt.Sprintf("step %d: ", i/2)
		switch op := code[i] % 16; {
		case op < 10:
			if got, want := m.Get(k), r.get(k); got != want {
				return step + fmt.Sprintf("Get(%d) = %v, want %v", k, got, want)
			}
		case op == 10:
			got, gotOK := m.Peek(k)
			if want, ok := r.peek(k); got != want || gotOK != ok {
				return step + fmt.Sprintf("Peek(%d) = %v, %v, want %v, %v", k, got, gotOK, want, ok)
			}
		case op == 11:
			r.dropIdle()
			if got := m.Len(); got != len(r.keys) {
				return step + fmt.Sprintf("Len() = %d, want %d", got, len(r.keys))
			}
		case op == 12:
			r.dropIdle()
			var got []int
			for k, v := range m.All() {
				if want, ok := r.peek(k); !ok || v != want {
					return step + fmt.Sprintf("All() has %d: %v, want %v", k, v, want)
				}
				got = append(got, k)
			}
			want := slices.Sorted(slices.Values(r.keys))
			if slices.Sort(got); !slices.Equal(got, want) {
				return step + fmt.Sprintf("All() has %v, want %v", got, want)
			}
		default:
			// Half a microsecond more than a round time: stamps that were made distinct by a nanosecond each do not
			// reach the limit of idleness.
			wait := time.Duration(k)*10*time.Second + 500*time.Nanosecond
			time.Sleep(wait)
			r.now += wait
		}
		if !slices.Equal(gone, r.gone) {
			return step + fmt.Sprintf("evicted %v, want %v", gone, r.gone)
		}
	}
	return ""
}

func TestModel(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		code := make([]byte, 2*rnd.IntN(300)+rnd.IntN(2))
		for i := range code {
			code[i] = byte(rnd.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if diff := script(code); diff != "" {
				t.Errorf("seed %d: %s", seed, diff)
			}
		})
	}
}

// TestExactOnTheRealClock needs no bubble: without waits the order of eviction does not depend on time.
func TestExactOnTheRealClock(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		r := newReference(50, time.Hour)
		var gone []evicted
		m := keyed.New(keyed.Config[int, value]{
			MaxKeys: 50, IdleAfter: -1,
			New:     func(k int) value { return value{k, r.made[k] + 1} },
			Evicted: func(k int, v value) { gone = append(gone, evicted{k, v}) },
		})
		for i := range 5000 {
			k := int(rnd.ExpFloat64() * 30)
			if got, want := m.Get(k), r.get(k); got != want {
				t.Fatalf("seed %d, step %d: Get(%d) = %v, want %v", seed, i, k, got, want)
			}
		}
		if !slices.Equal(gone, r.gone) {
			t.Errorf("seed %d: the order of eviction differs", seed)
		}
	}
}
