package latency

import (
	"math"
	"sync/atomic"
	"time"
)

// Tracker is a [Window] that keeps one quantile at hand, for those who ask at each call. Make it with [NewTracker]; any
// number of goroutines may use it. None of its methods blocks. The Window in it is there to be read.
//
// The quantile is refreshed by whoever records when that is due: each 100 ms (or 1/64 of the span, if that is less); and
// while there are fewer than 256 samples, also each time they have grown by a quarter.
type Tracker struct {
	Window
	enough     atomic.Uint64
	every      atomic.Int64  // ns
	target     atomic.Uint64 // the bits of a float64
	value      atomic.Int64
	due        atomic.Int64 // the time to refresh the value
	toGo       atomic.Int64 // the number of samples until then; at or below 0 they are not counted
	refreshing atomic.Bool
}

const (
	none    = -1 // the value while there are too few samples
	many    = 256
	often   = 100 * time.Millisecond
	perSpan = 64
)

// NewTracker returns a tracker of the quantile q over that span; as in [New]. There is no value while there are fewer
// than minSamples in the window, or fewer than [MinSamples].
func NewTracker(span time.Duration, q float64, minSamples int) *Tracker {
	t := new(Tracker)
	t.length.Store(int64(partOf(span)))
	t.set(q, minSamples)
	t.value.Store(none)
	t.toGo.Store(int64(t.enough.Load()))
	return t
}

// set sets what goes with the span.
func (t *Tracker) set(q float64, minSamples int) {
	t.enough.Store(uint64(max(minSamples, MinSamples)))
	t.every.Store(int64(max(min(time.Duration(t.length.Load())/(perSpan/parts), often), 1)))
	t.target.Store(math.Float64bits(q))
}

// Set changes at now all that [NewTracker] was given, and refreshes the value; as in [Window.SetSpan], if the span is another.
// It must not be called by several goroutines at once.
func (t *Tracker) Set(now, span time.Duration, q float64, minSamples int) {
	if t.length.Load() != int64(partOf(span)) {
		t.SetSpan(now, span)
	}
	t.set(q, minSamples)
	t.refresh()
}

// Value is the quantile as of when it was last refreshed, and whether there were enough samples then. In a time without
// calls it stays as it is, until the next Record or Advance.
func (t *Tracker) Value() (time.Duration, bool) {
	v := t.value.Load()
	if v == none {
		return 0, false
	}
	return time.Duration(v), true
}

// Target is the quantile that is tracked, as a share.
func (t *Tracker) Target() float64 { return math.Float64frombits(t.target.Load()) }

// SetTarget changes the quantile that is tracked, and refreshes it; where another goroutine is just refreshing it, that
// one does it again.
func (t *Tracker) SetTarget(q float64) {
	t.target.Store(math.Float64bits(q))
	t.refresh()
}

// Record is [Window.Record]. Once in a while it refreshes the quantile, which takes microseconds.
func (t *Tracker) Record(now, d time.Duration) {
	t.Window.Record(now, d)
	if now >= time.Duration(t.due.Load()) || t.toGo.Load() > 0 && t.toGo.Add(-1) == 0 {
		t.due.Store(int64(now) + t.every.Load())
		t.refresh()
	}
}

// Advance is [Window.Advance]. It refreshes the quantile where that is due.
func (t *Tracker) Advance(now time.Duration) {
	t.Window.Advance(now)
	if now >= time.Duration(t.due.Load()) {
		t.due.Store(int64(now) + t.every.Load())
		t.refresh()
	}
}

// refresh brings the value up to date, unless another goroutine is doing that.
func (t *Tracker) refresh() {
	for t.refreshing.CompareAndSwap(false, true) {
		target, enough := t.target.Load(), t.enough.Load()
		d, n := t.quantile(math.Float64frombits(target))
		v := int64(d)
		if n < enough {
			v = none
		}
		t.value.Store(v)
		t.refreshing.Store(false)
		// From here on. A sample that was the last to go while the flag was up has refreshed nothing, so the number to
		// go is set after; and who has set others then relies on this look at them.
		t.toGo.Store(t.after(n))
		if t.target.Load() == target && t.enough.Load() == enough {
			return
		}
	}
}

// after is how many samples are to come after n, until the quantile is refreshed without waiting for its time.
func (t *Tracker) after(n uint64) int64 {
	switch enough := t.enough.Load(); {
	case n < enough:
		return int64(enough - n)
	case n < many:
		return int64(n/4 + 1)
	}
	return 0
}
