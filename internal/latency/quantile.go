package latency

import (
	"math"
	"time"
)

// MinSamples is how many samples it takes for a quantile.
const MinSamples = 5

// Quantile is the latency that the share q of the samples in the window did not exceed: the sample of rank ⌈q·n⌉, rounded
// up by less than 1/32 (3.1 %), so that the share of samples that are really above it is at most 1-q. It is false while
// there are fewer than [MinSamples]. A q below 0 counts as 0, which is the shortest sample; above 1 as 1, the longest;
// NaN as 0.
//
// It reads all the counts there are, which takes microseconds: who asks at each call should use a [Tracker].
func (w *Window) Quantile(q float64) (time.Duration, bool) {
	d, n := w.quantile(q)
	return d, n >= MinSamples
}

// Above is the share of the samples in the window that are above d; those in the same bucket as d are not. So for a d
// that came from Quantile it is exact, and Above(Quantile(q)) is at most 1-q. Without samples it is 0.
func (w *Window) Above(d time.Duration) float64 {
	var n, above uint64
	octave, cell := bucket(d)
	r := w.ring.Load()
	for i := range octaves {
		var sums [cells]uint64
		if !r.addTo(&sums, i) {
			continue
		}
		for j, m := range sums {
			n += m
			if i > octave || i == octave && j > cell {
				above += m
			}
		}
	}
	return float64(above) / float64(max(n, 1))
}

// Count is the number of samples in the window.
func (w *Window) Count() uint64 {
	var totals [octaves]uint64
	return w.ring.Load().totals(&totals)
}

// quantile is Quantile, and the number of samples. The duration is 0 where they are too few.
func (w *Window) quantile(q float64) (time.Duration, uint64) {
	var totals [octaves]uint64
	r := w.ring.Load()
	n := r.totals(&totals)
	if n < MinSamples {
		return 0, n
	}
	// More samples may come between these two looks. They cannot hide the one that is looked for, since counts only
	// grow; they can make it one that is lower by as many ranks.
	octave, k := find(totals[:], rank(q, n))
	var sums [cells]uint64
	r.addTo(&sums, octave)
	cell, _ := find(sums[:], k)
	return upper(octave, cell), n
}

// rank is ⌈q·n⌉, from 1 to n.
func rank(q float64, n uint64) uint64 {
	switch {
	case q >= 1:
		return n
	case q > 0:
		return uint64(math.Ceil(q * float64(n)))
	}
	return 1
}

// find is which of the counts has the sample of that rank, and its rank there.
func find(counts []uint64, rank uint64) (i int, _ uint64) {
	for i < len(counts)-1 && rank > counts[i] {
		rank -= counts[i]
		i++
	}
	return i, rank
}

// totals adds the number of samples in each octave to totals, and returns that of all.
func (r *ring) totals(totals *[octaves]uint64) (n uint64) {
	for i := range totals {
		var sums [cells]uint64
		if !r.addTo(&sums, i) {
			continue
		}
		for _, m := range sums {
			totals[i] += m
		}
		n += totals[i]
	}
	return n
}

// addTo adds the counts of one octave, over all parts, to sums, and reports whether there may be any.
func (r *ring) addTo(sums *[cells]uint64, i int) (some bool) {
	if r == nil {
		return false
	}
	for _, p := range r.parts {
		if p == nil {
			continue
		}
		if o := p.octaves[i].Load(); o != nil {
			o.addTo(sums)
			some = true
		}
	}
	return some
}
