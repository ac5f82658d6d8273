package latency

import (
	"sync/atomic"
	"time"
)

// Window has the latencies of the last while, for quantiles. Make it with [New]; any number of goroutines may use it.
// None of its methods blocks.
type Window struct {
	length atomic.Int64 // of a part, in ns
	ring   atomic.Pointer[ring]
}

// DefaultSpan is the span of a Window that is given none.
const DefaultSpan = 30 * time.Second

// parts of the span. At any time the window has the samples of the last three quarters of the span, up to all of it.
const parts = 4

// ring has the parts of a window at one time. It is not changed; when time goes on, the next one replaces it.
type ring struct {
	start time.Duration // of the newest part
	parts [parts]*part  // the newest first; nil where nothing was recorded
}

// New returns an empty window of that span, or of [DefaultSpan] where it is not positive.
func New(span time.Duration) *Window {
	w := new(Window)
	w.length.Store(int64(partOf(span)))
	return w
}

// SetSpan changes the span at now, as in [New]. What the window has is kept, and is dropped as if it had been recorded in the
// new span: within one more, whichever of them is longer.
func (w *Window) SetSpan(now, span time.Duration) {
	length := partOf(span)
	for {
		old := w.ring.Load()
		if old == nil {
			break
		}
		// The newest part begins anew: else a short span would find it too old, and all others with it.
		if w.ring.CompareAndSwap(old, &ring{start: max(now, old.start), parts: old.parts}) {
			break
		}
	}
	w.length.Store(int64(length))
}

func partOf(span time.Duration) time.Duration {
	if span <= 0 {
		span = DefaultSpan
	}
	return max(span/parts, 1)
}

// Record adds a sample: at now, on the caller's clock, which has any start but no jumps, a call was over that took d.
// A negative d counts as zero; what is longer than 4.9 hours, as that. A now that is late, older than what others have
// given, counts as the newest.
func (w *Window) Record(now, d time.Duration) { w.at(now).add(d) }

// Advance drops what is too old at now, as Record does, for who reads after a time without calls.
func (w *Window) Advance(now time.Duration) {
	if w.ring.Load() != nil {
		w.at(now)
	}
}

// at is the part for a sample at now.
func (w *Window) at(now time.Duration) *part {
	r := w.ring.Load()
	if r == nil || now-r.start >= time.Duration(w.length.Load()) {
		r = w.turn(now)
	}
	return r.parts[0]
}

// turn replaces the ring by the one for now. Of several at once one succeeds, and the others find its ring. Who has
// taken a part from the ring before may add to it after: that sample counts with the part, for as long as the part does.
func (w *Window) turn(now time.Duration) *ring {
	for {
		old := w.ring.Load()
		next := old.turned(now, time.Duration(w.length.Load()))
		if next == old || w.ring.CompareAndSwap(old, next) {
			return next
		}
	}
}

// turned is the ring for now, which is r itself while its newest part lasts.
func (r *ring) turned(now, length time.Duration) *ring {
	if r == nil {
		return &ring{start: now, parts: [parts]*part{new(part)}}
	}
	n := (now - r.start) / length
	if n <= 0 {
		return r
	}
	next := &ring{start: r.start + n*length, parts: [parts]*part{new(part)}}
	if n < parts {
		copy(next.parts[n:], r.parts[:])
	}
	return next
}
