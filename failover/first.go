package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// First calls one function after the other until one succeeds: a plain fallback, to a cached value, a default, another
// service. It goes on after every error but backoff.Permanent and the caller's cancellation. If all fail it returns the
// last value and all errors, joined, the first one first.
//
//	rates, err := failover.First(ctx, live, cached, func(context.Context) (Rates, error) { return lastKnown, nil })
func First[T any](ctx context.Context, fns ...func(context.Context) (T, error)) (v T, err error) {
	if len(fns) == 0 {
		return v, fmt.Errorf("failover.First: %w", errNilFunc)
	}
	for i, fn := range fns {
		if fn == nil {
			return v, fmt.Errorf("failover.First: function %d: %w", i+1, errNilFunc)
		}
	}
	if ctx.Err() != nil {
		return v, cause.Of("failover", ctx)
	}
	var few [4]error // on the stack, for a failure of the first that the second makes good
	errs := few[:0]
	for i, fn := range fns {
		v, err = fn(ctx)
		if err == nil {
			return v, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			if i < len(fns)-1 && !errors.Is(err, context.Cause(ctx)) {
				errs = append(errs, cause.Of("failover", ctx))
			}
			break
		}
		if permanent(err) {
			break
		}
	}
	if len(errs) == 1 {
		return v, errs[0]
	}
	return v, &FirstError{slices.Clone(errs)}
}

// FirstError has the errors of several functions that [First] has called, in their order.
type FirstError struct{ Errs []error }

func (e *FirstError) Error() string { return "failover: " + errors.Join(e.Errs...).Error() }

// Unwrap returns the Errs.
func (e *FirstError) Unwrap() []error { return e.Errs }

// Refused reports whether none did any work: each refused. One that worked, and failed, is a failure.
func (e *FirstError) Refused() bool {
	for _, err := range e.Errs {
		if !failure.Refused(err) {
			return false
		}
	}
	return len(e.Errs) > 0
}

// RetryAfter is when the first of them may be ready, if each has said when: one is enough.
func (e *FirstError) RetryAfter() time.Duration {
	return soonest(e.Errs, func(err error) error { return err })
}

// ErrorType is the word for telemetry: that of the last.
func (e *FirstError) ErrorType() string { return telemetry.ErrorType(e.last()) }

// Timeout reports whether the last was a timeout.
func (e *FirstError) Timeout() bool { return isTimeout(e.last()) }

// Temporary is what package net used to ask for; a timeout was temporary there.
func (e *FirstError) Temporary() bool { return e.Timeout() }

func (e *FirstError) last() error {
	if len(e.Errs) == 0 {
		return nil
	}
	return e.Errs[len(e.Errs)-1]
}
