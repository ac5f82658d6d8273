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
// mark of the old one that its start lies in, so that up to a bucket of what is too old may be seen for a while longer.
func (w *window) resize(now, width time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rollLocked(now)
	was, wasTick, wasWidth := w.marks, w.tick, w.width
	w.width, w.tick = width, int64(now/width)
	for t := w.tick - buckets + 1; t <= w.tick; t++ {
		in := max(floor(time.Duration(t)*width, wasWidth), wasTick-buckets+1) // before that it had seen nothing
		w.marks[index(t)] = was[index(in)]
	}
	w.edge.Store((w.tick + 1) * int64(width))
}

// index is the place of a bucket's mark. Buckets before the start of time have one too.
func index(tick int64) int { return int((tick%buckets + buckets) % buckets) }

func floor(t, width time.Duration) int64 {
	if t < 0 {
		t -= width - 1
	}
	return int64(t / width)
}

// take empties the totals and returns them: for a window that has had its day. See Breaker.retireLocked.
func (w *window) take() (successes, failures uint64) {
	return w.successes.Take(), w.failures.Swap(0)
}
