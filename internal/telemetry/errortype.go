package telemetry

import (
	"context"
	"errors"
)

// ErrorType is the low-cardinality word for err: what its ErrorType method says, else "timeout" or "canceled",
// else "_OTHER" as the conventions of OpenTelemetry have it.
func ErrorType(err error) string {
	if typed, ok := errors.AsType[typedError](err); ok {
		if word := typed.ErrorType(); word != "" {
			return word
		}
	}
	timeout, _ := errors.AsType[timeoutError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), timeout != nil && timeout.Timeout():
		return "timeout"
	default:
		return "_OTHER"
	}
}

type typedError interface {
	error
	ErrorType() string
}

type timeoutError interface {
	error
	Timeout() bool
}

// ErrAborted stands for the result of a function that panicked or called runtime.Goexit.
var ErrAborted error = aborted{}

type aborted struct{}

func (aborted) Error() string     { return "the function panicked or ended its goroutine" }
func (aborted) ErrorType() string { return "panic" }
