package breaker

import (
	"fmt"
	"time"
)

// State is what a breaker does with calls.
type State uint8

// The states. The last three are set by hand, with [Breaker.Force].
const (
	Closed     State = iota // lets calls pass, and judges them
	Open                    // refuses calls until the cool-down is over
	HalfOpen                // lets a few probes pass, and refuses the rest
	ForcedOpen              // refuses all calls until Reset
	Disabled                // lets all calls pass, and judges none, until Reset
	Shadow                  // goes through the states above, counts what it would have refused, and refuses nothing
	stateCount
)

var stateNames = [stateCount]string{"closed", "open", "half_open", "forced_open", "disabled", "shadow"}

func (s State) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("breaker.State: %q: want one of %v", text, stateNames)
}

// Outcome is what a result says about the dependency.
type Outcome uint8

// The outcomes.
const (
	Success Outcome = iota
	Failure
	Ignored // it says nothing: the caller cancelled, or no work was done
)

func (o Outcome) String() string {
	if o <= Ignored {
		return [...]string{"success", "failure", "ignored"}[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Event is a change of state.
type Event struct {
	Name     string // of the breaker
	From, To State
	At       time.Time
	Until    time.Time // of an opening: when it ends; else zero
	Cause    error     // of an opening: the failure that caused it; may be nil
	Shadow   bool      // the breaker is in shadow: whatever the state, it refuses nothing
}
