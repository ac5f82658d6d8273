package latency

import (
	"math/bits"
	"time"
)

// The buckets are log-linear, as in HdrHistogram (Gil Tene): each octave, from one power of two to the next, is cut
// into cells of the same width. So a cell is never wider than 1/32 of what falls into it; the first two octaves, up to
// 63 ns, are exact.
const (
	cellBits = 5
	cells    = 1 << cellBits
	octaves  = 40
	longest  = 1<<(octaves+cellBits-1) - 1 // ns, 4.9 hours: what is longer counts as this
)

// bucket is where d falls. The octave is where the highest bit is, the cell the five bits after it.
func bucket(d time.Duration) (octave, cell int) {
	n := uint64(min(max(d, 0), longest))
	octave = bits.Len64(n >> cellBits)
	return octave, int(n>>max(octave-1, 0)) % cells
}

// upper is the longest time that falls into a bucket.
func upper(octave, cell int) time.Duration {
	if octave == 0 {
		return time.Duration(cell)
	}
	return time.Duration(cells+cell+1)<<(octave-1) - 1
}
