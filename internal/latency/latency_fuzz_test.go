package latency_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

// FuzzWindow: samples are any 64 bits, all in one window. Quantiles are the exact ones as rounded up, within the shortest
// and the longest, and no shorter for a greater share.
func FuzzWindow(f *testing.F) {
	f.Add([]byte("12345678abcdefgh\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00"), 0.5, 0.95)
	f.Add(make([]byte, 200), 0.0, 1.0)
	f.Add([]byte("\x40\x42\x0f\x00\x00\x00\x00\x00\x41\x42\x0f\x00\x00\x00\x00\x00\x42\x42\x0f\x00\x00\x00\x00\x00\x43\x42\x0f\x00\x00\x00\x00\x00\x44\x42\x0f\x00\x00\x00\x00\x00"), 0.2, 0.21)
	f.Fuzz(func(t *testing.T, data []byte, p, q float64) {
		const longest = 1<<44 - 1
		w := latency.New(time.Second)
		var ds []time.Duration
		for ; len(data) >= 8; data = data[8:] {
			d := time.Duration(binary.LittleEndian.Uint64(data))
			w.Record(0, d)
			ds = append(ds, min(max(d, 0), longest))
		}
		if w.Count() != uint64(len(ds)) {
			t.Fatalf("%d samples of %d", w.Count(), len(ds))
		}
		if len(ds) < latency.MinSamples {
			if d, ok := w.Quantile(p); d != 0 || ok {
				t.Fatalf("quantile %v, %v of %d samples", d, ok, len(ds))
			}
			return
		}
		want := sorted(ds)
		if !(p <= q) { // also a NaN, which counts as 0
			p, q = q, p
		}
		if p != p || q != q {
			p, q = 0, 1
		}
		p, q = min(max(p, 0), 1), min(max(q, 0), 1)
		checkQuantile(t, w, want, p)
		checkQuantile(t, w, want, q)
		low, _ := w.Quantile(p)
		high, _ := w.Quantile(q)
		shortest, last := want[0], want[len(want)-1]
		if low > high || low < shortest || high > last+last/32 {
			t.Errorf("quantiles %v: %v and %v: %v, of %v to %v", p, low, q, high, shortest, last)
		}
		for _, d := range ds[:min(len(ds), 20)] {
			checkAbove(t, w, want, d)
		}
	})
}

// FuzzTimes: any steps of the clock, in eighths of a part of the window, back and forth: as if time never went back.
func FuzzTimes(f *testing.F) {
	f.Add([]byte{0, 8, 8, 8, 8, 8, 8, 100, 1, 2, 3})
	f.Add([]byte{255, 7, 1, 8, 200, 32, 31, 33, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		const eighth = time.Second
		w := latency.New(32 * eighth)
		var now, latest time.Duration
		var ages []int // of the samples, in parts
		for i, s := range steps {
			now += time.Duration(int8(s)) * eighth
			if i == 0 {
				latest, now = 0, 0 // the parts begin at the first sample
			}
			if n := int(max(now, latest)/(8*eighth) - latest/(8*eighth)); n > 0 {
				for i := range ages {
					ages[i] += n
				}
			}
			latest = max(now, latest)
			w.Record(now, time.Second)
			ages = append(ages, 0)
			want := uint64(0)
			for _, age := range ages {
				if age < 4 {
					want++
				}
			}
			if w.Count() != want {
				t.Fatalf("step %d, at %v of %v: Count() = %d, want %d", i, now, latest, w.Count(), want)
			}
		}
	})
}
