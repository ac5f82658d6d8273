package latency_test

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/internal/latency"
)

func TestAllocs(t *testing.T) {
	tr := latency.NewTracker(0, 0.95, 10)
	ds := logNormal(1000)
	for _, d := range ds {
		tr.Record(0, d)
	}
	now, i := time.Duration(0), 0
	for name, f := range map[string]func(){
		"Window.Record": func() { tr.Window.Record(0, ds[i%len(ds)]); i++ },
		"Record":        func() { tr.Record(now, ds[i%len(ds)]); i++; now += time.Millisecond }, // it is also refreshed
		"Value":         func() { tr.Value() },
		"SetTarget":     func() { tr.SetTarget(0.9) },
		"Quantile":      func() { tr.Quantile(0.99) },
		"Above":         func() { tr.Above(time.Millisecond) },
		"Count":         func() { tr.Count() },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s makes %v allocations, want none", name, n)
		}
	}
}

// TestMemory: what doc.go says, of windows in which all parts are in use.
func TestMemory(t *testing.T) {
	for _, test := range []struct {
		name string
		ds   []time.Duration
		most uint64
	}{
		{"constant", []time.Duration{10 * time.Millisecond}, 2200},
		{"log-normal", logNormal(250), 6 << 10},
		{"one in each octave", octaves(), 25 << 10},
	} {
		if got := bytesEach(test.ds); got > test.most {
			t.Errorf("%s: %d bytes a window, want at most %d", test.name, got, test.most)
		} else {
			t.Logf("%s: %d bytes a window", test.name, got)
		}
	}
	if w, tr := unsafe.Sizeof(latency.Window{}), unsafe.Sizeof(latency.Tracker{}); w > 16 || tr > 72 {
		t.Errorf("a Window is %d bytes, a Tracker %d", w, tr)
	}
}

func octaves() (ds []time.Duration) {
	for i := range 63 {
		ds = append(ds, 1<<i)
	}
	return ds
}

// bytesEach is what one window takes when each of its parts has samples as long as ds.
func bytesEach(ds []time.Duration) uint64 {
	const n, part = 200, 10 * time.Second
	windows := make([]*latency.Window, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range windows {
		w := latency.New(4 * part)
		for at := range time.Duration(4) {
			for _, d := range ds {
				w.Record(at*part, d)
			}
		}
		windows[i] = w
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(windows)
	return (max(after.HeapAlloc, before.HeapAlloc) - before.HeapAlloc) / n
}

// TestNothingStays: over many parts, nobody's memory but that of the last four is kept.
func TestNothingStays(t *testing.T) {
	w := latency.New(4 * time.Second)
	ds := logNormal(100)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	fill := func(from, to time.Duration) {
		for at := from; at < to; at++ {
			for _, d := range ds {
				w.Record(at*time.Second, d)
			}
		}
	}
	fill(0, 10)
	before := heap()
	fill(10, 2000)
	if after := heap(); after > before+100<<10 {
		t.Errorf("%d KB more after 2000 parts", (after-before)>>10)
	}
	runtime.KeepAlive(w)
}
