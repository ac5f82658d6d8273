package breaker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// buckets is in how many steps the window rolls.
const buckets = 10

// window counts what happened in the last stretch of time, in ten buckets.
//
// It does not count by bucket. It keeps running totals, and a mark of them at the start of each bucket; what
// happened since then is the difference. So a success is one atomic add, nothing is ever set back
// under a concurrent add, and no result is lost or counted twice. The lock is for the marks: taken once a bucket,
// by whoever comes first, and by those who look back after a failure. A success never waits for it.
type window struct {
	// What every call reads comes first, and has no neighbour that every call writes: see generation.

	// edge is when the bucket of the moment ends. Comparing with it costs less than dividing by the width.
	edge   atomic.Int64
	streak atomic.Uint32 // failures since the last success; no window cuts it
	_      [64 - generationHead - 12]byte

	successes stripe.Counter
	failures  atomic.Uint64
	slow      atomic.Uint64 // successes and failures that were slow

	mu    sync.Mutex
	width time.Duration // of a bucket
	tick  int64         // number of the bucket of the moment
	marks [buckets]totals
	taken *[buckets]time.Duration // when; nil: at the starts of their buckets, as they have always had this width
}

// totals are running counts at one moment. Differences of them are right also after an overflow.
type totals struct{ successes, failures, slow uint32 }

// success counts a success at time now.
func (w *window) success(now time.Duration, slow bool) {
	if int64(now) >= w.edge.Load() && w.mu.TryLock() {
		w.rollLocked(now)
		w.mu.Unlock()
	} // else somebody is looking back: this call counts for the bucket before or after the edge
	w.successes.Add()
	if w.streak.Load() != 0 { // only read on the good path
		w.streak.Store(0)
	}
	if slow {
		w.slow.Add(1)
	}
}

// failure counts a failure at time now, and returns how many there were in a row.
func (w *window) failure(now time.Duration, slow bool) (streak uint32) {
	w.roll(now)
	w.failures.Add(1)
	if slow {
		w.slow.Add(1)
	}
	return w.streak.Add(1)
}

func (w *window) roll(now time.Duration) {
	if int64(now) >= w.edge.Load() {
		w.mu.Lock()
		w.rollLocked(now)
		w.mu.Unlock()
	}
}

// rollLocked starts the buckets up to now. A reading of the clock from before the bucket of the moment changes
// nothing.
func (w *window) rollLocked(now time.Duration) {
	tick := int64(now / w.width)
	if tick <= w.tick {
		return
	}
	at := w.totals()
	for t := max(w.tick+1, tick-buckets+1); t <= tick; t++ {
		w.marks[t%buckets] = at
		if w.taken != nil {
			w.taken[t%buckets] = time.Duration(t) * w.width
		}
	}
	w.tick = tick
	w.edge.Store((tick + 1) * int64(w.width))
}

func (w *window) totals() totals {
	return totals{uint32(w.successes.Load()), uint32(w.failures.Load()), uint32(w.slow.Load())}
}

// counts are what happened in the window up to now.
type counts struct{ calls, failures, slow uint64 }

func (w *window) counts(now time.Duration) counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rollLocked(now)
	at, from := w.totals(), w.marks[(w.tick+1)%buckets]
	failures := at.failures - from.failures
	return counts{
		calls:    uint64(at.successes-from.successes) + uint64(failures),
		failures: uint64(failures),
		slow:     uint64(at.slow - from.slow),
	}
}

// seed is what a window begins with: what was seen before a restart.
type seed struct {
	counts
	streak uint32
}

// begin sets an empty window to time now, with the seed as if it had happened just now. It is in the marks alone: the
// totals count what really was.
func (w *window) begin(now, width time.Duration, seen seed) {
	w.width = width
	w.tick = int64(now / width)
	w.edge.Store((w.tick + 1) * int64(width))
	w.streak.Store(seen.streak)
	before := totals{-uint32(seen.calls - seen.failures), -uint32(seen.failures), -uint32(seen.slow)}
	for i := range w.marks {
		w.marks[i] = before
	}
}

// resize gives the buckets another width at time now, and keeps what the window has seen: each new bucket begins with the
// last mark that was taken before its start, so that up to a bucket of what is too old may be seen for a while longer. A mark
// keeps the time at which it was taken. Where widths change so often that the one before is too old by more than that, it is
// the nearest: the window would else grow with each change.
func (w *window) resize(now, width time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rollLocked(now)
	was, taken, slack := w.marks, w.takenLocked(), w.width
	w.width, w.tick, w.taken = width, int64(now/width), new([buckets]time.Duration)
	for t := w.tick - buckets + 1; t <= w.tick; t++ {
		at := time.Duration(t) * width
		from := lastBefore(&taken, at)
		if at-taken[from] > slack {
			from = nearest(&taken, at)
		}
		mark, when := was[from], taken[from]
		if at-when > max(slack, now-at) {
			mark, when = w.totals(), now
		}
		w.marks[index(t)], w.taken[index(t)] = mark, when
	}
	w.edge.Store((w.tick + 1) * int64(width))
}

// takenLocked is when the marks were taken.
func (w *window) takenLocked() (taken [buckets]time.Duration) {
	if w.taken != nil {
		return *w.taken
	}
	for t := w.tick - buckets + 1; t <= w.tick; t++ {
		taken[index(t)] = time.Duration(t) * w.width
	}
	return taken
}

// lastBefore is which of the marks was the last at that time; the first of all, if there was none yet.
func lastBefore(taken *[buckets]time.Duration, at time.Duration) (which int) {
	for i, t := range taken {
		switch best := taken[which]; {
		case best > at && t < best, t <= at && t > best:
			which = i
		}
	}
	return which
}

// nearest is which of the marks was taken nearest to that time.
func nearest(taken *[buckets]time.Duration, at time.Duration) (which int) {
	for i, t := range taken {
		if (t - at).Abs() < (taken[which] - at).Abs() {
			which = i
		}
	}
	return which
}

// index is the place of a bucket's mark. Buckets before the start of time have one too.
func index(tick int64) int { return int((tick%buckets + buckets) % buckets) }

// take empties the totals and returns them: for a window that has had its day. See Breaker.retireLocked.
func (w *window) take() (successes, failures uint64) {
	return w.successes.Take(), w.failures.Swap(0)
}
