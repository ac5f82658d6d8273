package breaker

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Snapshot is a breaker at one moment: to look at, to log, and, through [Breaker.Restore], for a warm start. It has a
// JSON form.
//
// Of all calls that have ended, each is one of Successes, Failures, Ignored and Refused. Late is a part of the first
// two, Shadowed of the first three.
type Snapshot struct {
	Name       string    `json:"name"`
	At         time.Time `json:"at"`
	State      State     `json:"state"`           // Shadow if it is in shadow
	Would      State     `json:"would,omitempty"` // in shadow: the state it would be in
	Since      time.Time `json:"since"`           // when it entered the state
	Until      time.Time `json:"until,omitzero"`  // of an opening: its end
	Generation uint64    `json:"generation"`      // grows with each change of state

	FailedRecoveries uint32 `json:"failed_recoveries"` // since it was last closed: the cool-down doubles with each
	Probing          int    `json:"probing"`           // probes under way

	// What the window holds, in the closed state.
	WindowCalls         uint64 `json:"window_calls"`
	WindowFailures      uint64 `json:"window_failures"`
	WindowSlow          uint64 `json:"window_slow"` // running calls that are overdue included
	ConsecutiveFailures uint32 `json:"consecutive_failures"`

	// Since New.
	Successes uint64 `json:"successes"`
	Failures  uint64 `json:"failures"`
	Ignored   uint64 `json:"ignored"`
	Refused   uint64 `json:"refused"`
	Late      uint64 `json:"late"`
	Shadowed  uint64 `json:"shadowed"`
}

// FailureRatio is the share of failures in the window.
func (s Snapshot) FailureRatio() float64 {
	if s.WindowCalls == 0 {
		return 0
	}
	return float64(s.WindowFailures) / float64(s.WindowCalls)
}

// State returns the state. A breaker whose cool-down is over is HalfOpen: the next call will be a probe.
func (b *Breaker) State() State {
	if b == nil {
		return Disabled
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shadow {
		return Shadow
	}
	return b.stateLocked(b.now())
}

// stateLocked is what the next call would find. Looking changes nothing, so that a page or a collector of metrics
// does not call OnStateChange; the change is made by the next call.
func (b *Breaker) stateLocked(now time.Duration) State {
	g := b.gen.Load()
	switch _, hung := g.hung(now, b.set.Load().probeTimeout); {
	case hung:
		return Open
	case g.state == Open && now >= g.opening.until:
		return HalfOpen
	default:
		return g.state
	}
}

// Snapshot returns the breaker as it is now. It is safe for concurrent use, and changes nothing.
func (b *Breaker) Snapshot() Snapshot {
	if b == nil {
		return Snapshot{State: Disabled}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now, g := b.now(), b.gen.Load()
	s := Snapshot{
		Name: b.name, At: b.wall(now), State: b.stateLocked(now),
		Since: b.wall(g.since), Generation: g.number, FailedRecoveries: b.failedTries,
		Successes: b.tally.successes.Load() + g.window.successes.Load(),
		Failures:  b.tally.failures.Load() + g.window.failures.Load(),
		Ignored:   b.tally.ignored.Load(), Refused: b.tally.allRefused(),
		Late: b.tally.late.Load(), Shadowed: b.tally.shadowed.Load(),
	}
	if g.state == Open {
		s.Until = b.wall(g.opening.until)
	}
	if g.opening != nil {
		s.Probing = len(g.opening.probes)
	}
	if g.state == Closed {
		seen := b.seen(g, now)
		s.WindowCalls, s.WindowFailures, s.WindowSlow = seen.calls, seen.failures, seen.slow
		s.ConsecutiveFailures = g.window.streak.Load()
	}
	if b.shadow {
		s.State, s.Would = Shadow, s.State
	}
	return s
}

// seen is what the window holds, and the overdue calls beside it.
func (b *Breaker) seen(g *generation, now time.Duration) counts {
	seen := g.window.counts(now)
	if r := g.running.Load(); r != nil {
		late := r.late(now)
		seen.calls, seen.slow = seen.calls+late, seen.slow+late
	}
	return seen
}

// Restore puts the breaker into the state of a Snapshot, of this process or an earlier one: an opening goes on until
// its end (at most MaxOpenFor from now), what was half-open lets the next call probe, and what the window had seen
// counts as seen now, unless it is older than Window. The totals are not restored. A Snapshot that makes no sense is
// an error that names every field at fault, and changes nothing.
func (b *Breaker) Restore(s Snapshot) error {
	f := conf.Check("breaker.Snapshot")
	f.Want(s.State < stateCount, "State", s.State, "one of the States")
	f.Want(s.Would < ForcedOpen, "Would", s.Would, "closed, open or half_open")
	f.Want(s.WindowFailures <= s.WindowCalls, "WindowFailures", s.WindowFailures, "at most WindowCalls")
	f.Want(s.WindowSlow <= s.WindowCalls, "WindowSlow", s.WindowSlow, "at most WindowCalls")
	f.Want(s.WindowCalls <= math.MaxInt32, "WindowCalls", s.WindowCalls, "at most 2^31-1")
	if err := f.Err(); err != nil || b == nil {
		return err
	}
	if s.State == ForcedOpen || s.State == Disabled {
		b.Force(s.State)
		return nil
	}
	b.restore(s)
	return nil
}

func (b *Breaker) restore(s Snapshot) {
	b.mu.Lock()
	state := s.State
	if b.shadow = state == Shadow; b.shadow {
		state = s.Would
	}
	now := b.now()
	if state == Closed {
		b.closeLocked(now, b.seedFrom(s, now))
	} else {
		left := time.Duration(0)
		if state == Open {
			left = min(max(s.Until.Sub(b.wall(now)), 0), b.set.Load().maxOpenFor)
		}
		b.failedTries = s.FailedRecoveries
		b.openLocked(now, later(now, left), nil, trace.SpanContext{})
	}
	b.mu.Unlock()
	b.events.deliver(context.Background(), b)
}

// seedFrom is what a closed breaker begins with. It was closed, so it takes at least one failure more to open it.
func (b *Breaker) seedFrom(s Snapshot, now time.Duration) seed {
	var from seed
	if age := b.wall(now).Sub(s.At); age >= 0 && age < b.set.Load().window {
		from.counts = counts{s.WindowCalls, s.WindowFailures, s.WindowSlow}
	}
	if from.streak = s.ConsecutiveFailures; b.set.Load().consecutive > 0 {
		from.streak = min(from.streak, b.set.Load().consecutive-1)
	}
	return from
}
