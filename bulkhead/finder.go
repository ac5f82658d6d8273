package bulkhead

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/stripe"
)

// finder finds the limit of an Adaptive. Calls record how long they took, without a lock; the first of them that comes after
// the window's end closes it, and has [search] make something of what was recorded.
//
// Of each window's latencies the finder keeps the square of the mean of their square roots. It lies between the median and the
// mean: a few slow calls weigh less than in the mean (log-normal latencies need a third of the samples), and what is between a
// quick call and a slow one is still told apart, as it is not by the minimum.
type finder struct {
	window time.Duration

	// Written once a window, read by every call.
	present atomic.Int64  // the limit
	from    atomic.Int64  // calls that end from then on are recorded: earlier ones have met the last limit's queue
	edge    atomic.Int64  // when the window may be closed
	dropAt  atomic.Int64  // when the next overload signal may lower the limit
	scale   atomic.Uint64 // float64 bits: latencies are recorded in units of it, the last window's latency, in ns
	press   atomic.Bool   // the limit has bound in this window

	_ [64]byte // the counters are written by every call: not on that cache line

	roots   stripe.Counter // how many calls, and from rootBits downwards the sum of the square roots of their latencies
	sums    stripe.Counter // of the latencies
	signals stripe.Counter // of overload

	mu      sync.Mutex // to close a window
	search  search
	latency float64  // of the last window, in ns
	warm    bool     // scale is of the right order
	last    evidence // of overload in the last window, if it has ended just now
}

// evidence is of overload: signals among calls that succeeded.
type evidence struct{ signals, successes float64 }

const (
	// fixedPoint is what a recorded 1 is: sums are of integers. Three digits are enough for a single call.
	fixedPoint = 1 << 10
	// widest is how many times the scale a latency counts for at most. One call that hangs is not to turn a window.
	widest = 16
	// widestFirst is that while there is no scale but firstScale: seconds are no outliers then.
	widestFirst = 1 << 12
	firstScale  = float64(time.Millisecond)
	// rootBits is where in roots the sum ends and the count begins. Each has room for 67 million calls in a window.
	rootBits = 38

	// drain is for how many latencies nothing is recorded after the limit was changed, until calls meet the queue that it
	// makes. It is also how many a window has at least: in less, slow calls are under-represented.
	drain = 2
	// longest is how long a window, or a drain, is at most, if there are calls.
	longest = 10 * time.Second
	// patient and patientCalls are when a window with too few calls is closed after all: with fewer than fewest, never.
	patient      = 2 * time.Second
	patientCalls = 4 // latencies
	fewest       = 10

	// misfit is when a window is too much slower than its scale to be read: widest will have cut latencies off.
	misfit = 2.5

	// overloadShare is how many of the calls have to be signals of overload. Single ones are always there.
	overloadShare = 0.01
)

func newFinder(a Adaptive) *finder {
	least, most := conf.Or(a.Min, defaultMin), a.most()
	initial := min(max(conf.Or(a.Initial, defaultInitial), least), most)
	f := &finder{window: conf.Or(a.Window, defaultWindow), search: newSearch(least, most, initial)}
	f.present.Store(int64(initial))
	f.edge.Store(int64(f.window))
	return f
}

// newFinderFrom is newFinder for a search that begins now, at a limit that calls have had until now.
func newFinderFrom(limit int, a Adaptive, now time.Duration) *finder {
	a.Initial = limit
	f := newFinder(a)
	f.from.Store(int64(now))
	f.edge.Store(int64(now + f.window))
	return f
}

// follow changes the bounds and the window. What was found stays, unless it is out of the bounds; then, what is tried at the
// moment is over, and what was recorded in this window has met a limit that is not any more.
func (f *finder) follow(a Adaptive, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.window = conf.Or(a.Window, defaultWindow)
	least, most := conf.Or(a.Min, defaultMin), a.most()
	f.search.min, f.search.max = float64(least), float64(most)
	if limit := f.limit(); limit < least || most < limit {
		f.forgetLocked()
		f.search.rest()
		f.renewLocked(now, true)
	}
	// A window that has begun is no longer than one that begins now, nor is what waits for its end: an hour that was set by
	// mistake does not last an hour.
	f.edge.Store(min(f.edge.Load(), max(f.from.Load()+int64(f.lengthLocked()), int64(now))))
	f.dropAt.Store(min(f.dropAt.Load(), f.edge.Load()))
}

// forgetLocked empties the window.
func (f *finder) forgetLocked() {
	f.roots.Take()
	f.sums.Take()
	f.signals.Take()
	f.last = evidence{}
}

func (f *finder) limit() int { return int(f.present.Load()) }

// pressed says that the limit binds.
func (f *finder) pressed() {
	if !f.press.Load() { // all read it
		f.press.Store(true)
	}
}

// succeeded records a call that ended now, and reports whether the limit has changed.
func (f *finder) succeeded(now, latency time.Duration) bool {
	if int64(now) >= f.from.Load() {
		f.record(latency)
	}
	// Who finds the mutex locked leaves the window to whom has it: all that matters is that somebody closes it.
	if int64(now) < f.edge.Load() || !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	return f.closeLocked(now)
}

func (f *finder) record(latency time.Duration) {
	scale, most := math.Float64frombits(f.scale.Load()), float64(widest)
	if scale == 0 {
		scale, most = firstScale, widestFirst
	}
	x := min(float64(max(latency, 0))/scale, most)
	f.roots.AddN(1<<rootBits | uint64(math.Sqrt(x)*fixedPoint+0.5))
	f.sums.AddN(uint64(x*fixedPoint + 0.5))
}

// overloaded records a signal of overload, and reports whether the limit has changed: it falls at once, not with the window's
// end, for every call until then would add to the overload.
func (f *finder) overloaded(now time.Duration) bool {
	f.signals.Add()
	if int64(now) < f.dropAt.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if int64(now) < f.dropAt.Load() { // another signal came first
		return false
	}
	if int64(now)-f.edge.Load() > int64(f.patienceLocked()) {
		f.last = evidence{}
		f.roots.Take() // of before a pause
		f.sums.Take()
	}
	// A window that has just begun has too few calls to tell one in a hundred: the one before counts, too.
	signals := float64(f.signals.Load()) + f.last.signals
	if signals < overloadShare*(float64(f.roots.Load()>>rootBits)+f.last.successes) {
		return false
	}
	f.forgetLocked() // they have met a limit that is not any more
	f.search.overloaded(now)
	changed := f.renewLocked(now, true)
	f.dropAt.Store(f.edge.Load())
	return changed
}

// closeLocked ends the window, if it is over and has enough calls, and begins the next.
func (f *finder) closeLocked(now time.Duration) bool {
	begun, edge := f.from.Load(), f.edge.Load()
	if int64(now) < edge { // another call has closed it
		return false
	}
	calls := float64(f.roots.Load() >> rootBits)
	need := float64(fewest) // for no more than a scale
	if f.warm {
		need = f.search.need()
	}
	if calls < need && (calls < fewest || int64(now)-begun < int64(f.patienceLocked())) {
		f.edge.Store(int64(now + f.window/4))
		return false
	}
	r := f.takeLocked(now, time.Duration(edge-begun))
	trial := f.search.trial
	if fits := f.warm && r.slowdown <= misfit; fits {
		f.search.read(r)
	} else {
		f.warm = true
		if r.pressed {
			f.press.Store(true)
		}
	}
	return f.renewLocked(now, f.search.trial != trial)
}

// takeLocked reads the window and empties it. A call that is recorded meanwhile may be in roots and not in sums: one call more
// or less makes no difference.
func (f *finder) takeLocked(now, length time.Duration) reading {
	roots, sums := f.roots.Take(), float64(f.sums.Take())/fixedPoint
	f.last = evidence{float64(f.signals.Take()), float64(roots >> rootBits)}
	scale := math.Float64frombits(f.scale.Load())
	if scale == 0 {
		scale = firstScale
	}
	n := max(float64(roots>>rootBits), 1)
	root, mean := float64(roots&(1<<rootBits-1))/fixedPoint/n, sums/n
	f.latency = max(root*root*scale, 1)
	f.scale.Store(math.Float64bits(f.latency))
	return reading{
		now: now, calls: n, log: math.Log(f.latency), pressed: f.press.Swap(false), slowdown: root,
		// The deviation of the square roots over their mean is half of the latencies' own (the delta method).
		spread: 2 * math.Sqrt(max(mean/max(root*root, 1e-9)-1, 0)),
		// Little's law. The last call of a window has ended it: it is of no interval.
		inflight: sums * scale * (n - 1) / n / max(1, float64(length)),
	}
}

// renewLocked puts the search's limit in force, and reports whether it is another. After a turn, or any change that matters, the
// next window begins only when the queue has become what the limit makes it.
func (f *finder) renewLocked(now time.Duration, turn bool) bool {
	was, limit := f.present.Load(), int64(f.search.limit())
	f.present.Store(limit)
	from := now
	if turn || math.Abs(float64(limit-was)) > 0.05*float64(limit)+1 {
		from += f.latencies(drain)
	}
	f.from.Store(int64(from))
	f.edge.Store(int64(from + f.lengthLocked()))
	return limit != was
}

// lengthLocked is how long the window is at least.
func (f *finder) lengthLocked() time.Duration {
	return min(max(f.window, f.latencies(drain)), max(f.window, longest))
}

// patienceLocked is for how long a window may wait for calls.
func (f *finder) patienceLocked() time.Duration {
	return max(patient, f.window, f.latencies(patientCalls))
}

// latencies is how long n calls one after another took in the last window, but no longer than longest.
func (f *finder) latencies(n float64) time.Duration {
	return time.Duration(min(n*f.latency, float64(longest))) // a float64 that is too large makes no Duration
}
