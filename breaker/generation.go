package breaker

import (
	"sync/atomic"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/trace"
)

// generation is one stay in one state. A call holds the generation that admitted it; its result counts only if that
// is still the breaker's, else it is late. Each generation has a window of its own, so that a result which slips in
// beside a change of state lands in the old one, where it does no harm.
type generation struct {
	// What every call reads shares a cache line (with the start of window); what every call writes is in the next.
	// The size of the whole is a multiple of a line that the allocator has a size for, and so aligns.
	state   State // never Shadow: that is how the breaker answers, not what it is in
	shadow  bool  // refuses nothing, only counts
	number  uint64
	since   time.Duration
	running atomic.Pointer[running] // nil unless slow calls count
	opening *opening                // Open, HalfOpen, ForcedOpen
	window  window
	_       [generationSize - generationHead - unsafe.Sizeof(window{})]byte
}

const (
	generationSize = 256
	generationHead = 5 * 8 // before window
)

// opening is what the generations between a trip and the closing, or the next opening, share.
type opening struct {
	// near is set when the end is near. Until then a refusal need not read the clock, which is most of its cost.
	near    atomic.Bool
	timer   *time.Timer   // for near; nil: it was set at once
	until   time.Duration // end of the cool-down; of Open
	machine *machine      // nil: forced
	refusal *OpenError    // made once
	probes  []*probe      // under way, oldest first; guarded by Breaker.mu
}

// probe is one call let through to see how the dependency is.
type probe struct {
	done  func(error) // gobreaker's: to be called once
	start time.Duration
}

func (s *settings) newGeneration(state State, now time.Duration, seen seed) *generation {
	g := &generation{state: state, since: now}
	if state == Closed || state == Disabled {
		g.window.begin(now, s.bucket, seen)
	}
	if state == Closed {
		g.running.Store(runningFor(s, now))
	}
	return g
}

// arm starts the timer for near. It comes well before the end, so that the clock decides when that is.
func (o *opening) arm(coolDown time.Duration) {
	const short = 20 * time.Millisecond
	if coolDown < short {
		o.near.Store(true)
		return
	}
	o.timer = time.AfterFunc(coolDown-coolDown/8, func() { o.near.Store(true) })
}

// disarm lets go of the timer, which would keep the opening in memory. Who still looks at it then asks the clock.
func (o *opening) disarm() {
	if o != nil && o.timer != nil {
		o.timer.Stop()
		o.near.Store(true)
	}
}

// hung returns when the oldest probe runs out of time, if one has at time now.
func (g *generation) hung(now, timeout time.Duration) (at time.Duration, ok bool) {
	if g.state != HalfOpen || len(g.opening.probes) == 0 {
		return 0, false
	}
	at = later(g.opening.probes[0].start, timeout)
	return at, now >= at
}

// refusal makes the error for all calls that an opening refuses.
func (b *Breaker) refusal(state State, until time.Duration, why error, by trace.SpanContext) *OpenError {
	e := &OpenError{Name: b.name, State: state, Cause: why, opener: by}
	if state == Open {
		e.Until = b.wall(until)
	}
	return e
}
