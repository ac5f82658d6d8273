package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/keyed"
)

// TestConcurrent: a key has one value at a time, each that left was reported once, and the bound holds.
func TestConcurrent(t *testing.T) {
	type item struct {
		key  int
		gone atomic.Int32
	}
	const maxKeys, keys = 20, 60
	var making [keys]atomic.Int32
	var made, gone atomic.Int64
	m := keyed.New(keyed.Config[int, *item]{
		MaxKeys: maxKeys, IdleAfter: 200 * time.Microsecond,
		New: func(k int) *item {
			if making[k].Add(1) != 1 {
				t.Errorf("two values of key %d are made at once", k)
			}
			defer making[k].Add(-1)
			runtime.Gosched()
			made.Add(1)
			return &item{key: k}
		},
		Evicted: func(k int, v *item) {
			if v.key != k || v.gone.Add(1) != 1 {
				t.Errorf("key %d: reported the value of %d, for time %d", k, v.key, v.gone.Load())
			}
			gone.Add(1)
		},
	})
	var wg sync.WaitGroup
	for g := range 1000 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 3))
			for range 100 {
				k := rnd.IntN(keys)
				switch rnd.IntN(20) {
				case 0:
					if n := m.Len(); n > maxKeys {
						t.Errorf("%d keys", n)
					}
				case 1:
					seen := map[int]bool{}
					for k, v := range m.All() {
						if v.key != k || seen[k] {
							t.Errorf("All: key %d, seen before %v, has the value of %d", k, seen[k], v.key)
						}
						seen[k] = true
					}
					if len(seen) > maxKeys {
						t.Errorf("All: %d keys", len(seen))
					}
				case 2:
					if v, ok := m.Peek(k); ok && v.key != k {
						t.Errorf("Peek: key %d has the value of %d", k, v.key)
					}
				default:
					if v := m.Get(k); v.key != k {
						t.Errorf("Get: key %d has the value of %d", k, v.key)
					}
				}
			}
		})
	}
	wg.Wait()
	if left := int64(m.Len()); gone.Load() != made.Load()-left {
		t.Errorf("%d made, %d left, %d reported", made.Load(), left, gone.Load())
	}
}

// TestOneValueAKey: while nothing leaves, all get the same value of a key.
func TestOneValueAKey(t *testing.T) {
	const keys = 500
	m := keyed.New(keyed.Config[int, *int]{MaxKeys: keys, New: func(int) *int { return new(int) }})
	var seen [keys]atomic.Pointer[int]
	var wg sync.WaitGroup
	for g := range 1000 {
		wg.Go(func() {
			for i := range keys {
				k := (i + g/10) % keys
				v := m.Get(k)
				if !seen[k].CompareAndSwap(nil, v) && seen[k].Load() != v {
					t.Errorf("key %d has two values", k)
				}
			}
		})
	}
	wg.Wait()
}

// TestGrowthHidesNothing: while the table grows, those who get a key that is there get its value.
func TestGrowthHidesNothing(t *testing.T) {
	const kept = 100
	m := keyed.New(keyed.Config[int, *int]{MaxKeys: 1 << 20, New: func(int) *int { return new(int) }})
	var first [kept]*int
	for k := range first {
		first[k] = m.Get(k)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for k := 0; !stop.Load(); k = (k + 1) % kept {
				v, ok := m.Peek(k)
				if m.Get(k) != first[k] || !ok || v != first[k] {
					t.Errorf("key %d was lost", k)
					return
				}
			}
		})
	}
	for k := range 100_000 {
		m.Get(kept + k)
	}
	stop.Store(true)
	wg.Wait()
}

func TestOneMakesAndTheOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		m := keyed.New(keyed.Config[string, int]{MaxKeys: 1, New: func(string) int {
			time.Sleep(time.Second)
			made++
			return made
		}})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if v := m.Get("k"); v != 1 {
					t.Errorf("value %d", v)
				}
			})
		}
		start := time.Now()
		wg.Wait()
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// TestNewPanics: it reaches the caller, who waits is served, and nothing is left behind.
func TestNewPanics(t *testing.T) {
	for _, end := range map[string]func(){"panic": func() { panic("no") }, "Goexit": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			m := keyed.New(keyed.Config[string, int]{MaxKeys: 1, New: func(string) int {
				calls++
				first := calls == 1
				time.Sleep(time.Second)
				if first {
					end()
				}
				return 7
			}})
			var got []string
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					outcome := "Goexit"
					defer func() {
						if r := recover(); r != nil {
							outcome = fmt.Sprint(r)
						}
						mu.Lock()
						got = append(got, outcome)
						mu.Unlock()
					}()
					outcome = fmt.Sprint(m.Get("k"))
				})
			}
			wg.Wait()
			if len(got) != 3 || got[0] == "7" || got[1] != "7" || got[2] != "7" || calls != 2 || m.Len() != 1 {
				t.Errorf("got %v in %d calls", got, calls)
			}
		})
	}
}

// TestEvictedPanics: it reaches the caller who made room, and the others are still reported.
func TestEvictedPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []int
		m := keyed.New(keyed.Config[int, int]{
			MaxKeys: 3, IdleAfter: time.Minute, New: func(k int) int { return k },
			Evicted: func(k, _ int) {
				if gone = append(gone, k); k == 1 {
					panic("no")
				}
			},
		})
		for k := range 3 {
			m.Get(k)
		}
		time.Sleep(time.Hour)
		func() {
			defer func() {
				if r := recover(); r != "no" {
					t.Errorf("recovered %v", r)
				}
			}()
			m.Get(3)
		}()
		if fmt.Sprint(gone) != "[0 1 2]" || m.Get(3) != 3 || m.Len() != 1 {
			t.Errorf("gone %v", gone)
		}
	})
}

// TestCallbacksMayUseTheMap: no lock is held.
func TestCallbacksMayUseTheMap(t *testing.T) {
	var m *keyed.Map[int, int]
	m = keyed.New(keyed.Config[int, int]{
		MaxKeys: 2,
		New: func(k int) int {
			if k > 0 && k < 10 {
				return m.Get(0) + k
			}
			return k
		},
		Evicted: func(int, int) { m.Len() },
	})
	if v := m.Get(1); v != 1 {
		t.Errorf("Get(1) = %d", v)
	}
	m.Get(10)
	for k := range m.All() {
		m.Get(k)
	}
	if m.Len() != 2 {
		t.Errorf("%d keys", m.Len())
	}
}
