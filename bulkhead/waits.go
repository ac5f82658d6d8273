package bulkhead

import (
	"math/bits"
	"time"
)

// waits are the waiting times of the last minute or two, for quantiles: how many fell into each of some intervals, a
// quarter of an octave wide. The older half is dropped once a minute.
type waits struct {
	now, before [waitBuckets]uint32
	since       time.Duration
	longest     [2]time.Duration // in now, and before
	total       uint64           // since New
}

const (
	waitUnit    = 1 << 10 // ns: what is shorter is all one
	waitOctaves = 32      // up to 4 h 53 min: what is longer is all one
	waitBuckets = 4 * waitOctaves
	waitsKept   = time.Minute
)

func (w *waits) add(at, waited time.Duration) {
	w.turn(at)
	w.now[waitBucket(waited)]++
	w.longest[0] = max(w.longest[0], waited)
	w.total++
}

// turn drops what is old.
func (w *waits) turn(at time.Duration) {
	age := at - w.since
	if 0 <= age && age < waitsKept {
		return
	}
	w.before, w.longest[1] = w.now, w.longest[0]
	if age >= 2*waitsKept || age < 0 { // below zero: from outside of a synctest bubble into one
		w.before, w.longest[1] = [waitBuckets]uint32{}, 0
	}
	w.now, w.longest[0] = [waitBuckets]uint32{}, 0
	w.since += age.Truncate(waitsKept) // not at: what came just after a turn would stay for nearly three minutes
}

// waitBucket: the octave is where the highest bit is, the quarter the two bits after it.
func waitBucket(d time.Duration) int {
	n := uint64(max(d, 0))/waitUnit + 4
	octave := bits.Len64(n) - 3
	return min(octave*4+int(n>>octave)-4, waitBuckets-1)
}

// middle is the middle of a bucket: half a quarter of an octave from what falls into it, which is an eighth at most.
func middle(bucket int) time.Duration {
	octave, quarter := bucket/4, bucket%4
	return time.Duration((2*quarter+9)<<octave*waitUnit/2 - 4*waitUnit)
}

// quantile is the time that the share q of those who waited did not exceed, to within an eighth and half a microsecond.
func (w *waits) quantile(q float64) time.Duration {
	var all uint64
	for i := range w.now {
		all += uint64(w.now[i]) + uint64(w.before[i])
	}
	if all == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(all)), uint64(0)
	for i := range w.now {
		if seen += uint64(w.now[i]) + uint64(w.before[i]); seen > rank {
			return min(middle(i), w.max())
		}
	}
	return w.max()
}

func (w *waits) max() time.Duration { return max(w.longest[0], w.longest[1]) }
