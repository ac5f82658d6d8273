package breaker

import (
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/trace"
)

// generation is one stay in one state. A call holds the generation that admitted it; its result counts only if that
// is still the breaker's, else it is late. Each generation has a window of its own, so that a result which slips in
// beside a change of state lands in the old one, where it does no harm.
type generation struct {
	// What every call reads has a cache line of its own. The window's count of successes, which every call writes,
	// begins the next: the size of the whole is a power of two, and the allocator aligns it.
	state   State // never Shadow: that is how the breaker answers, not what it is in
	shadow  bool  // refuses nothing, only counts
	number  uint64
	since   time.Duration
	running *running // nil unless slow calls count
	opening *opening // Open, HalfOpen, ForcedOpen
	_       [64 - 5*8]byte

	window window
	_      [generationSize - 64 - unsafe.Sizeof(window{})]byte
}

const generationSize = 256

// opening is what the generations between a trip and the closing, or the next opening, share.
type opening struct {
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

func (s *settings) newGeneration(state State, now time.Duration, seed counts) *generation {
	g := &generation{state: state, since: now}
	if state == Closed || state == Disabled {
		g.window.begin(now, s.bucket, seed)
	}
	if state == Closed && s.slowAfter > 0 {
		g.running = newRunning(s.slowAfter)
	}
	return g
}

// refuses reports whether the state turns calls away.
func (g *generation) refuses() bool {
	return g.state == Open || g.state == HalfOpen || g.state == ForcedOpen
}

// hung returns when the oldest probe runs out of time, if one has at time now.
func (g *generation) hung(now, timeout time.Duration) (at time.Duration, ok bool) {
	if g.state != HalfOpen || len(g.opening.probes) == 0 {
		return 0, false
	}
	at = g.opening.probes[0].start + timeout
	return at, now >= at
}

// refusal makes the error for all calls that an opening refuses.
func (b *Breaker) refusal(state State, until time.Duration, why error, by trace.SpanContext) *OpenError {
	e := &OpenError{Name: b.name, State: state, Cause: why, opener: by}
	if state == Open {
		e.Until = b.set.wall(until)
	}
	return e
}
