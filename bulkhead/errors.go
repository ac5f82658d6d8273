package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// ErrFull is what every [*FullError] Is.
var ErrFull = errors.New("bulkhead full")

// Reason is why a call had no place.
type Reason uint8

// The reasons. All but ReasonEnded are refusals.
const (
	ReasonFull     Reason = iota // every place is taken, and there is no queue
	ReasonQueue                  // the queue is full too
	ReasonMaxWait                // it waited for MaxWait
	ReasonOverload               // the queue does not keep up: newer calls went first, and it had waited too long
	ReasonDeadline               // its deadline would have passed before it was done
	ReasonPriority               // one that matters more took its place in the full queue
	ReasonRate                   // so many calls a second are not allowed
	ReasonTotal                  // of a Keyed: the places that all keys share are taken
	ReasonEnded                  // the caller's context ended while it waited
	reasons
)

// The words for each reason: what String says, what an error says, and what telemetry calls the error.
var words = [reasons + 1]struct{ reason, why, errorType string }{
	ReasonFull:     {"full", "full", "bulkhead_full"},
	ReasonQueue:    {"queue_full", "the queue is full", "bulkhead_queue_full"},
	ReasonMaxWait:  {"max_wait", "no place in time", "bulkhead_max_wait"},
	ReasonOverload: {"overload", "overloaded", "bulkhead_overload"},
	ReasonDeadline: {"deadline", "the deadline would pass before it was done", "bulkhead_deadline"},
	ReasonPriority: {"priority", "full, what matters more goes first", "bulkhead_priority"},
	ReasonRate:     {"rate", "too many calls a second", "bulkhead_rate"},
	ReasonTotal:    {"total", "all keys together are full", "bulkhead_total"},
	ReasonEnded:    {"ended", "the context ended", "bulkhead_ended"},
	reasons:        {"", "full", "bulkhead_full"}, // a number that is none of them
}

func (r Reason) String() string {
	if r >= reasons {
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
	return words[r].reason
}

// MarshalText writes the reason as String has it.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (r *Reason) UnmarshalText(text []byte) error {
	for i := range reasons {
		if words[i].reason == string(text) {
			*r = i
			return nil
		}
	}
	return fmt.Errorf("reason %q: want full, queue_full, max_wait, overload, deadline, priority, rate, total or ended", text)
}

// FullError says that a call had no place: fn was not called. Treat it as read-only: calls that are refused at once
// share one.
type FullError struct {
	Name   string        // of the bulkhead
	Reason Reason        // why
	Waited time.Duration // in the queue
	Cause  error         // why the caller's context ended while it waited; nil if it was refused

	b *Bulkhead // whose places there were not; nil in an error that somebody else made
}

func (e *FullError) Error() string {
	why := words[min(e.Reason, reasons)].why
	if e.Cause != nil {
		why = e.Cause.Error()
	}
	s := telemetry.Label("bulkhead", e.Name) + ": " + why
	if e.Waited > 0 {
		s += fmt.Sprintf(" after waiting for %v", e.Waited.Round(min(time.Millisecond, max(e.Waited/1000, 1))))
	}
	return s
}

// Is reports whether target is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Unwrap returns why the caller's context ended while it waited.
func (e *FullError) Unwrap() error { return e.Cause }

// Refused reports true: no work was done. A retry does not repeat it, a breaker ignores it, a failover moves on at once.
func (e *FullError) Refused() bool { return true }

// RetryAfter is when there may be a place: when the calls that wait now are through, as far as can be told from how long
// calls take and from the Rate; or, where the rate refused, when the next call will be allowed. 0 if it cannot be told.
func (e *FullError) RetryAfter() time.Duration {
	if e.b == nil || e.Cause != nil {
		return 0
	}
	return e.b.retryAfter(e.Reason)
}

// ErrorType is the word for telemetry.
func (e *FullError) ErrorType() string {
	if e.Cause != nil {
		return telemetry.ErrorType(e.Cause)
	}
	return words[min(e.Reason, reasons)].errorType
}

// Timeout reports whether the caller's deadline passed while it waited. A refusal is none.
func (e *FullError) Timeout() bool { return errors.Is(e.Cause, context.DeadlineExceeded) }

// Temporary reports true.
func (e *FullError) Temporary() bool { return true }

// Exhausted reports false: nothing was tried.
func (e *FullError) Exhausted() bool { return false }

// refusals are the errors of calls that are refused without having waited. They are shared, so that a refusal costs
// next to nothing.
type refusals [reasons]FullError

// refusal returns the shared error.
func (b *Bulkhead) refusal(r Reason) *FullError {
	all := b.refusals.Load()
	if all == nil {
		all = new(refusals)
		for i := range all {
			all[i] = FullError{Name: b.name, Reason: Reason(i), b: b}
		}
		if b.total != nil {
			all[ReasonTotal].b = b.total
		}
		b.refusals.Store(all) // two may do so at once: they are alike
	}
	return &all[r]
}

// overloadSignal is the default of Adaptive.Overloaded: it took too long, or the dependency says that it is overloaded.
func overloadSignal(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, asked := failure.RetryAfter(err); asked {
		return true
	}
	status, ok := failure.Find[*StatusError](err)
	return ok && overloadStatus(status.StatusCode)
}
