package telemetry

import (
	"context"
	"errors"
)

// ErrorType is the low-cardinality word for err: what its ErrorType method says, else "timeout" or "canceled",
// else "_OTHER" as the conventions of OpenTelemetry have it.
func ErrorType(err error) string {
	var typed interface{ ErrorType() string }
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &typed):
		return typed.ErrorType()
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "_OTHER"
	}
}

// ErrAborted stands for the result of a function that panicked or called runtime.Goexit.
var ErrAborted error = aborted{}

type aborted struct{}

func (aborted) Error() string     { return "the function panicked or ended its goroutine" }
func (aborted) ErrorType() string { return "panic" }
