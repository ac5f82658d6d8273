package failover

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// Target is one of several that can do the work of a call.
type Target[T any] struct {
	// Name tells it from the others, in errors and telemetry too. [Group.Update] knows a target again by its name.
	Name string

	// Value is what the function gets: a URL, a connection, a function.
	Value T

	// Priority is its level: 0 is used first, 1 when level 0 is not well enough, and so on.
	Priority int

	// Weight is its share among those of its level, where Balance heeds it. 0 is 1.
	Weight float64
}

// target is a Target in a group, apart from the type of its value. It does not change; what does is in its state, which
// stays when an Update replaces the target by one of the same name.
type target struct {
	*state
	name     string
	value    any // *T
	priority int
	weight   float64
	hash     uint64 // of the name
}

func newTarget[T any](t Target[T], s *state) *target {
	weight := t.Weight
	if weight == 0 {
		weight = 1
	}
	return &target{state: s, name: t.Name, value: &t.Value, priority: t.Priority, weight: weight, hash: hashOf(t.Name)}
}

// state is what is known of a target. The first part is written by calls, without a lock; the second under core.mu.
type state struct {
	inFlight  flights
	open      atomic.Int64   // of those, bodies that are being read: no attempts any more
	cost      cost           // of a call, for PeakEWMA
	failures  atomic.Int32   // in a row
	condition atomic.Uint32  // a State
	since     atomic.Int64   // when that began
	paused    atomic.Int64   // until when it is passed over: it would be ejected, but no more may be; 0: it is not
	rampFrom  atomic.Int64   // when its slow start began; 0: there is none under way
	trial     trial          // a call finds out whether it is well again
	good      stripe.Counter // successes and their time, since the last judgement: see packed
	excess    atomic.Int64   // of those times, what was above core.heeded
	bad       atomic.Uint64  // failures since then
	lastTry   atomic.Int64   // as a last resort
	refused   atomic.Int64   // when a trial was refused the last time; 0: none was
	rhythm    rhythm         // of its successes, for Suspicion
	lastError atomic.Pointer[string]

	until     time.Duration // the end of an ejection
	ejections int           // those that are remembered: they make the next one longer
	goods     int           // good probes, or trials, in a row
	bads      int           // bad probes in a row
	why       string        // it was ejected
	window    window        // of the last while
	gone      bool          // an Update has left it out
}

func (s *state) is() State { return State(s.condition.Load()) }

// knownDown reports whether a call should go there only if nothing else is left.
func (s *state) knownDown(failures int32) bool {
	return s.is() != Healthy || s.failures.Load() >= failures
}

// State is how a target is doing.
type State uint8

// The states.
const (
	Healthy State = iota
	Ejected       // it is left alone for a while
	Probing       // that is over; probes, or single calls, are to show that it is well
	states
)

var stateNames = [states]string{"healthy", "ejected", "probing"}

func (s State) String() string {
	if s < states {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText writes the state as String has it.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("state %q: want healthy, ejected or probing", text)
}
