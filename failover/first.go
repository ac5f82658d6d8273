package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/internal/cause"
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
	var errs []error
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
	return v, &FirstError{errs}
}

// FirstError has the errors of several functions that [First] has called, in their order.
type FirstError struct{ Errs []error }

func (e *FirstError) Error() string { return "failover: " + errors.Join(e.Errs...).Error() }

// Unwrap returns the Errs.
func (e *FirstError) Unwrap() []error { return e.Errs }
