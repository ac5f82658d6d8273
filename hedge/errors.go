package hedge

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// ErrLost is the cause of an attempt's context that was cancelled because another attempt was faster, or because the
// caller has gone: context.Cause(ctx) in fn.
var ErrLost = attempt.ErrLost

// lost is what an attempt's context is cancelled with.
var lost = deadline.NewCause(ErrLost)

// StatusError is an HTTP response as HedgeIf sees it in a [Transport].
// [errors.As] finds it. It has the StatusCode, a field, and RetryAfter(): for how long the server asked to be left alone, 0 if
// it did not; no body.
type StatusError = httpx.StatusError

// Error is what comes of a call of which several attempts failed, or whose caller went while it had failures. errors.Is
// and errors.As reach all of them, the first attempt's first.
type Error struct {
	Name     string  // of the policy
	Attempts int     // that were made
	Cause    error   // why the caller's context ended; nil: all attempts failed
	Errs     []error // of the attempts that failed, in the order of their starting
}

func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(telemetry.Label("hedge", e.Name))
	if e.Cause != nil {
		fmt.Fprintf(&s, ": %v", e.Cause)
	}
	for i, err := range e.Errs {
		if i == 0 {
			fmt.Fprintf(&s, ": %d of %d attempts failed: %v", len(e.Errs), e.Attempts, err)
		} else {
			fmt.Fprintf(&s, "; %v", err)
		}
	}
	return s.String()
}

// Unwrap returns the Cause and the Errs.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return e.Errs
	}
	return append([]error{e.Cause}, e.Errs...)
}

// ErrorType is the word for telemetry: that of the Cause, or of the first failure.
func (e *Error) ErrorType() string {
	return telemetry.ErrorType(e.foremost())
}

// Timeout reports whether the Cause was a deadline, or else the first failure. net/url asks for it by a plain type assertion.
func (e *Error) Timeout() bool {
	t, ok := failure.Find[interface{ Timeout() bool }](e.foremost())
	return ok && t.Timeout()
}

// Temporary is what package net used to ask for; a timeout was temporary there.
func (e *Error) Temporary() bool { return e.Timeout() }

// Refused reports whether no attempt did any work: each was refused.
func (e *Error) Refused() bool {
	for _, err := range e.Errs {
		if !failure.Refused(err) {
			return false
		}
	}
	return e.Cause == nil && len(e.Errs) > 0
}

// foremost is the Cause, or the first failure; nil in an Error that somebody made without either.
func (e *Error) foremost() error {
	if e.Cause != nil || len(e.Errs) == 0 {
		return e.Cause
	}
	return e.Errs[0]
}

// PanicError is what a panic in an attempt reaches the caller as: an attempt runs in a goroutine of its own, whose stack
// would be lost. http.ErrAbortHandler is passed on as it is.
type PanicError struct {
	Value any    // what the attempt panicked with
	Stack []byte // of the attempt, where it did
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("hedge: an attempt panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// carried is a panic's value for another goroutine. It is called in the one that panicked.
func carried(value any) any {
	if value == nil || value == http.ErrAbortHandler {
		return value
	}
	if p, ok := value.(*PanicError); ok { // of a hedge below
		return p
	}
	return &PanicError{value, debug.Stack()}
}
