package breaker

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

// machine is gobreaker's two-step state machine, for one opening: from the trip through open and half-open to
// closed or open again. It decides those transitions and counts the probes; the closed state needs no machine.
//
// What gobreaker v2.4.0 does not cover is covered around it:
//   - its cool-down is fixed, ours doubles: hence a new machine for each opening;
//   - its done counts each time it is called, and never if a probe hangs or ends by Goexit, which wedges it half-open
//     for ever: probes are handed back by a defer, once, and have a time limit (see probe);
//   - its callbacks run under its lock, and deadlock if they ask for the state: ReadyToTrip and IsExcluded here only
//     compare, and state changes are told from a queue of our own (see events);
//   - its count of consecutive failures is cut by its window: ours is not (see window).
type machine struct {
	cb *gobreaker.TwoStepCircuitBreaker[struct{}]
}

// shortestOpening is the least that a machine can be open for: see Timeout below.
const shortestOpening = 2

var errTrip = errors.New("breaker: trip")

// newMachine returns a machine that opens now, for the given cool-down.
func newMachine(coolDown time.Duration, probes int) *machine {
	m := &machine{gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: uint32(probes),
		// gobreaker is open up to and at the end of its timeout; a cool-down of ours is over at its end. Zero would
		// mean a minute.
		Timeout:     coolDown - 1,
		ReadyToTrip: func(gobreaker.Counts) bool { return true }, // the window has decided
		IsExcluded:  func(err error) bool { return err == errIgnored },
	})}
	if done, err := m.cb.Allow(); err == nil {
		done(errTrip)
	}
	return m
}

// admit asks for the place of a probe. ok is false while the machine is open, or all places are taken.
func (m *machine) admit() (done func(error), ok bool) {
	done, err := m.cb.Allow()
	return done, err == nil
}

// after reports a probe, and returns the state that follows.
func (m *machine) after(done func(error), o Outcome) State {
	switch o {
	case Success:
		done(nil)
	case Ignored:
		done(errIgnored) // gives the place back
	default:
		done(errTrip)
		return Open // although a cool-down of an instant is over by now
	}
	if m.cb.State() == gobreaker.StateClosed {
		return Closed
	}
	return HalfOpen
}
