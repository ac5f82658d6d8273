package failover

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// ErrNoTarget is what every [*NoTargetError] Is.
var ErrNoTarget = errors.New("no target")

// The other reasons why a call went to no further target.
var (
	ErrTries         error = reason("that is MaxTries")
	ErrBudget        error = reason("no budget for another")
	ErrNotMovable    error = reason("another would do no better")
	ErrNotRepeatable error = reason("not safe to repeat")
)

type reason string

func (r reason) Error() string { return string(r) }

// NoTargetError says that there was no target for a call, or none that it had not tried, and why each was left out.
type NoTargetError struct {
	Name    string // of the group
	LeftOut []LeftOut
	More    int           // that were left out too, and are not listed
	After   time.Duration // until the first ejection ends; 0 if that is not known
}

// LeftOut is why one target was not tried.
type LeftOut struct{ Target, Why string }

func (e *NoTargetError) Error() string {
	return telemetry.Label("failover", e.Name) + ": " + e.why()
}

func (e *NoTargetError) why() string {
	if len(e.LeftOut) == 0 {
		return "no target is left"
	}
	var s strings.Builder
	s.WriteString("no target")
	for i, l := range e.LeftOut {
		fmt.Fprintf(&s, "%c %s: %s", ":;"[min(i, 1)], l.Target, l.Why)
	}
	if e.More > 0 {
		fmt.Fprintf(&s, "; and %d more", e.More)
	}
	return s.String()
}

// Is reports whether target is ErrNoTarget.
func (e *NoTargetError) Is(target error) bool { return target == ErrNoTarget }

// Refused reports true: no work was done.
func (e *NoTargetError) Refused() bool { return true }

// RetryAfter is when a target may be back.
func (e *NoTargetError) RetryAfter() time.Duration { return e.After }

// ErrorType is the word for telemetry.
func (e *NoTargetError) ErrorType() string { return "failover_no_target" }

// Timeout reports false.
func (e *NoTargetError) Timeout() bool { return false }

// Temporary reports true.
func (e *NoTargetError) Temporary() bool { return true }

// Error is what comes of a call that failed on each target that it tried, or that could not try another. errors.Is and
// errors.As reach all errors in it, the last first. A call that failed once, in a way that no other target would mend, has its
// own error, and no Error around it.
type Error struct {
	Name   string        // of the group
	Tried  []TargetError // in their order
	Reason error         // why it went no further: one of the above, a [*NoTargetError], or why the caller's context ended
}

// TargetError is what came of one attempt.
type TargetError struct {
	Target string
	Err    error
}

func (e TargetError) Error() string { return e.Target + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e TargetError) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(telemetry.Label("failover", e.Name))
	for i, t := range e.Tried {
		fmt.Fprintf(&s, "%c %s: %v", ":;"[min(i, 1)], t.Target, t.Err)
	}
	if none, ok := e.Reason.(*NoTargetError); ok {
		fmt.Fprintf(&s, " (%s)", none.why())
	} else if e.Reason != nil {
		fmt.Fprintf(&s, " (%v)", e.Reason)
	}
	return s.String()
}

// Unwrap returns the errors of the targets, the last first, and the Reason.
func (e *Error) Unwrap() []error {
	all := make([]error, 0, len(e.Tried)+1)
	for i := len(e.Tried) - 1; i >= 0; i-- {
		if err := e.Tried[i].Err; err != nil {
			all = append(all, err)
		}
	}
	if e.Reason != nil {
		all = append(all, e.Reason)
	}
	return all
}

// Refused reports whether no target did any work: each refused. That the targets could not be looked up is no refusal,
// unless Resolve says that it is one: another call looks again.
func (e *Error) Refused() bool {
	if len(e.Tried) == 0 {
		return failure.Refused(e.Reason)
	}
	for _, t := range e.Tried {
		if !failure.Refused(t.Err) {
			return false
		}
	}
	return true
}

// NotSent reports whether no target has had a byte of the request, if this is of a [Transport]: a retry around it may then
// repeat what is not idempotent.
func (e *Error) NotSent() bool {
	for _, t := range e.Tried {
		if !failure.Refused(t.Err) && !httpx.NotSent(t.Err) {
			return false
		}
	}
	return true // if there was no target to try, too
}

// RetryAfter is when the first of the targets may be ready, if each has said when: one is enough. That none was left to try
// is no reason to wait: the next call may begin with any.
func (e *Error) RetryAfter() time.Duration {
	return soonest(e.Tried, func(t TargetError) error { return t.Err })
}

// soonest is the shortest of the times that errors ask for; zero if one asks for none.
func soonest[E any](all []E, errOf func(E) error) time.Duration {
	shortest := time.Duration(-1)
	for _, e := range all {
		after, asked := failure.RetryAfter(errOf(e))
		if !asked {
			return 0
		}
		if shortest < 0 || after < shortest {
			shortest = after
		}
	}
	return max(shortest, 0)
}

// ErrorType is the word for telemetry: why the caller went, or that of the last failure.
func (e *Error) ErrorType() string { return telemetry.ErrorType(e.foremost()) }

// Timeout reports whether the caller's deadline passed, or else the last failure was a timeout. net/url asks for it by a plain
// type assertion.
func (e *Error) Timeout() bool { return isTimeout(e.foremost()) }

func isTimeout(err error) bool {
	t, ok := failure.Find[interface{ Timeout() bool }](err)
	return ok && t.Timeout()
}

// Temporary is what package net used to ask for; a timeout was temporary there.
func (e *Error) Temporary() bool { return e.Timeout() }

// foremost is why the caller went, or the last failure.
func (e *Error) foremost() error {
	_, plain := e.Reason.(reason)
	if e.Reason != nil && !plain && !errors.Is(e.Reason, ErrNoTarget) || len(e.Tried) == 0 {
		return e.Reason
	}
	return e.Tried[len(e.Tried)-1].Err
}
