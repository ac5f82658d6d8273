package bulkhead

import (
	"sync/atomic"
	"time"
)

// estimate is how long calls hold their place, as far as is known: from the calls that waited, and from one in 64 of the
// others. Two that add at once may lose one of theirs, which does no harm.
type estimate struct {
	samples atomic.Uint32
	mean    atomic.Int64 // exponentially weighted; 0: nothing known
	median  atomic.Int64 // likewise
}

const (
	sampleEvery = 64 // uses of a slot, the first one included
	weight      = 16 // of what is known, over a sample's
)

// sampled reports whether the use of a slot is to be timed that has this word.
func sampled(word uint64) bool { return word/use%sampleEvery == 1 }

// sampledWait is sampled for calls that waited: while there is a queue, more is wanted to be known.
func sampledWait(word uint64) bool { return word/use%8 == 1 }

func (e *estimate) add(held time.Duration) {
	d := max(int64(held), 1)
	n := int64(e.samples.Load())
	if n < weight {
		e.samples.Store(uint32(n + 1))
	}
	if n == 0 {
		e.mean.Store(d)
		e.median.Store(d)
		return
	}
	mean := e.mean.Load()
	e.mean.Store(max(mean+(d-mean)/min(n+1, weight), 1))

	// A step up for each that is longer, one down for each that is shorter: it stands still where they are as many.
	median := e.median.Load()
	// At first the steps are long: the first call may be slow.
	step := max(median/min(n, weight), 1)
	switch {
	case d > median:
		e.median.Store(min(median+step, d))
	case d < median:
		e.median.Store(max(median-step, d))
	}
}

// typical is how long most calls take: half of them take less. One slow call in ten does not change it.
func (e *estimate) typical() time.Duration { return time.Duration(e.median.Load()) }

// average is what counts for those who wait: places become free at the rate of limit / average.
func (e *estimate) average() time.Duration { return time.Duration(e.mean.Load()) }
