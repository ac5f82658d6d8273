package chaos

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// ErrInjected is what every [*Error] Is.
var ErrInjected = errors.New("fault injected")

// StatusError is an HTTP response as an error: what a fault of Kind Status is to Do, Wrap and Run.
// [errors.As] finds it. It has the StatusCode, a field, and RetryAfter(): for how long the server asked to be left alone, 0 if
// it did not; no body.
type StatusError = httpx.StatusError

// Error is a fault that was made on purpose.
type Error struct {
	Name  string // of the Injector
	Fault string // its name
	Kind  Kind
	After time.Duration // what RetryAfter says
	Err   error         // what it stands for, of the kinds Status, Reset and Truncate
}

func (e *Error) Error() string {
	s := telemetry.Label("chaos", e.Name) + ": " + e.Fault
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is reports whether target is ErrInjected.
func (e *Error) Is(target error) bool { return target == ErrInjected }

// Unwrap returns what it stands for.
func (e *Error) Unwrap() error { return e.Err }

// RetryAfter is what Fault.RetryAfter comes to, of the kind Failure.
func (e *Error) RetryAfter() time.Duration { return e.After }

// ErrorType is the word for telemetry.
func (e *Error) ErrorType() string { return "chaos_" + e.Kind.String() }

// Timeout reports false: whose time runs out is told by its own context or connection.
func (e *Error) Timeout() bool { return false }

// Temporary reports true.
func (e *Error) Temporary() bool { return true }

// errReset is what package net says of a connection that was reset.
var errReset error = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}

var (
	errNilFunc = errors.New("fn is nil")

	errSwallowed = errors.New("its body is gone")

	// errCanceled is for a request whose Cancel was closed: the words are net/http's.
	errCanceled = errors.New("net/http: request canceled")
)
