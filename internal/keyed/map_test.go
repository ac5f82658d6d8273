package keyed_test

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/keyed"
)

func TestLeastRecentlyUsedGoes(t *testing.T) {
	var gone []string
	m := keyed.New(keyed.Config[string, string]{
		MaxKeys: 2,
		New:     func(k string) string { return "value of " + k },
		Evicted: func(k, v string) { gone = append(gone, k+": "+v) },
	})
	m.Get("a")
	m.Get("b")
	m.Get("a")
	if v := m.Get("c"); v != "value of c" {
		t.Errorf("Get(c) = %q", v)
	}
	if len(gone) != 1 || gone[0] != "b: value of b" || m.Len() != 2 {
		t.Errorf("gone %q, %d left", gone, m.Len())
	}
}

func TestIdleKeyIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, gone := 0, 0
		m := keyed.New(keyed.Config[string, int]{
			MaxKeys: 10, IdleAfter: time.Minute,
			New: func(string) int { made++; return made },
			Evicted: func(_ string, v int) {
				if gone++; v != made {
					t.Errorf("value %d was reported after %d had been made", v, made)
				}
			},
		})
		time.Sleep(time.Millisecond) // the stamp of the first Get is the time
		m.Get("k")
		time.Sleep(time.Minute) // not longer
		if v := m.Get("k"); v != 1 {
			t.Errorf("after IdleAfter: value %d", v)
		}
		time.Sleep(time.Minute + time.Microsecond)
		if _, ok := m.Peek("k"); ok {
			t.Error("Peek sees an idle key")
		}
		if v := m.Get("k"); v != 2 || gone != 1 {
			t.Errorf("after more: value %d, %d reported", v, gone)
		}
		for range 3 {
			time.Sleep(time.Minute / 2)
			m.Peek("k") // is not use
		}
		if n := m.Len(); n != 0 || gone != 2 {
			t.Errorf("%d left, %d reported", n, gone)
		}
	})
}

// TestIdleValuesAreFreed: nothing in the map holds what has left it.
func TestIdleValuesAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var freed atomic.Int32
		m := keyed.New(keyed.Config[int, *[64]byte]{MaxKeys: 1000, IdleAfter: time.Minute, New: func(int) *[64]byte {
			v := new([64]byte)
			runtime.AddCleanup(v, func(int) { freed.Add(1) }, 0)
			return v
		}})
		for k := range 1000 {
			m.Get(k)
		}
		time.Sleep(time.Hour)
		if n := m.Len(); n != 0 {
			t.Errorf("%d keys", n)
		}
		for range 10_000 {
			if freed.Load() == 1000 {
				return
			}
			runtime.GC()
			runtime.Gosched()
		}
		t.Errorf("%d of 1000 values were freed", freed.Load())
		runtime.KeepAlive(m)
	})
}

func TestNeverIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := keyed.New(keyed.Config[int, *int]{MaxKeys: 10, IdleAfter: -1, New: func(int) *int { return new(int) }})
		v := m.Get(1)
		time.Sleep(1e6 * time.Hour)
		if m.Get(1) != v || m.Len() != 1 {
			t.Error("it went")
		}
	})
}

// TestHostileKeys sends keys that never come again.
func TestHostileKeys(t *testing.T) {
	n := 10_000_000
	if testing.Short() || raceEnabled {
		n = 1_000_000
	}
	made, gone := 0, 0
	m := keyed.New(keyed.Config[int, *[128]byte]{
		MaxKeys: 1000, IdleAfter: time.Hour,
		New:     func(int) *[128]byte { made++; return new([128]byte) },
		Evicted: func(int, *[128]byte) { gone++ },
	})
	var before, after runtime.MemStats
	for k := range 10_000 {
		m.Get(k)
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for k := range n {
		m.Get(k + 10_000)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 256<<10 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if m.Len() != 1000 || made != n+10_000 || gone != made-1000 {
		t.Errorf("%d keys, %d made, %d gone", m.Len(), made, gone)
	}
	runtime.KeepAlive(m)
}

// TestKeysUnequalToThemselves: they are served, never kept, and push nothing out.
func TestKeysUnequalToThemselves(t *testing.T) {
	made, gone := 0, 0
	m := keyed.New(keyed.Config[float64, int]{
		MaxKeys: 2,
		New:     func(float64) int { made++; return made },
		Evicted: func(float64, int) { gone++ },
	})
	m.Get(1)
	for range 1000 {
		m.Get(math.NaN())
	}
	if _, ok := m.Peek(1); !ok || m.Len() != 1 || made != 1001 || gone != 1000 {
		t.Errorf("%d keys, %d made, %d gone", m.Len(), made, gone)
	}
	if _, ok := m.Peek(math.NaN()); ok {
		t.Error("a NaN was found")
	}
}

func TestAllocatesNothingForAKeyThatIsThere(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	type pair struct {
		host string
		port int
	}
	m := keyed.New(keyed.Config[string, int]{MaxKeys: 10, IdleAfter: time.Hour, New: func(string) int { return 1 }})
	p := keyed.New(keyed.Config[pair, int]{MaxKeys: 10, IdleAfter: time.Hour, New: func(pair) int { return 1 }})
	m.Get("host")
	p.Get(pair{"host", 1})
	if n := testing.AllocsPerRun(1000, func() { m.Get("host"); p.Get(pair{"host", 1}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, c := range []keyed.Config[int, int]{{New: func(int) int { return 0 }}, {MaxKeys: 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for MaxKeys %d", c.MaxKeys)
				}
			}()
			keyed.New(c)
		}()
	}
}
