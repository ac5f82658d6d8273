package retry

import (
	"fmt"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// The reasons for which a call stops being retried.
var (
	ErrAttempts     error = reason("attempts exhausted")
	ErrBudget       error = reason("no budget left for a retry")
	ErrDeadline     error = reason("the deadline comes before the next attempt")
	ErrNotRetryable error = reason("not worth a retry")
)

type reason string

func (r reason) Error() string { return string(r) }

// Error is a call that failed for good: more than one attempt was made, or a retry was denied, be it because the error
// was not worth one. errors.Is and errors.As reach both Err and Reason; comparing with == does not.
type Error struct {
	Name     string // of the policy
	Attempts int
	Err      error // of the last attempt
	Reason   error // one of the Reasons above, or why the caller's context ended
}

func (e *Error) Error() string {
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	return fmt.Sprintf("%s: %v after %d %s: %v", telemetry.Label("retry", e.Name), e.Reason, e.Attempts, attempts, e.Err)
}

// Unwrap gives errors.Is and errors.As both.
func (e *Error) Unwrap() []error { return []error{e.Err, e.Reason} }

// Exhausted reports that a retry above would only multiply what has been tried to the end, here or below: more than one
// attempt was made, or the budget allows no more. A single attempt that was not repeated is no reason not to repeat it
// above; and where a context ended, the layer that set its limit decides.
func (e *Error) Exhausted() bool {
	if _, ours := e.Reason.(reason); ours && (e.Attempts > 1 || e.Reason == ErrBudget) {
		return true
	}
	return failure.Exhausted(e.Err)
}

// Refused reports whether no work was done: the only attempt was refused below.
func (e *Error) Refused() bool { return e.Attempts == 1 && failure.Refused(e.Err) }

// ErrorType is the word for telemetry: that of the last attempt's error, or of the context's end.
func (e *Error) ErrorType() string {
	if _, ended := e.Reason.(reason); !ended {
		return telemetry.ErrorType(e.Reason)
	}
	return telemetry.ErrorType(e.Err)
}

// Timeout reports whether the last error was a timeout. net/url asks for it by a plain type assertion.
func (e *Error) Timeout() bool {
	last := e.Err
	if _, ended := e.Reason.(reason); !ended {
		last = e.Reason
	}
	t, ok := failure.Find[interface{ Timeout() bool }](last)
	return ok && t.Timeout()
}

// Temporary is what package net used to ask for.
func (e *Error) Temporary() bool {
	t, ok := failure.Find[interface{ Temporary() bool }](e.Err)
	return ok && t.Temporary()
}
