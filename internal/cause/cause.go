// Package cause says why a context ended, in an error that keeps both the cause that the caller gave and the
// plain context error, and that net/http can still ask whether it was a timeout.
package cause

import (
	"context"
	"errors"
)

// Error is the end of a context as a policy reports it.
type Error struct {
	policy string // "retry payments"; may be empty
	cause  error  // context.Cause
	err    error  // context.Canceled or context.DeadlineExceeded
}

// Of returns why ctx, which must be done, ended. policy goes before the text.
func Of(policy string, ctx context.Context) error {
	return &Error{policy: policy, cause: context.Cause(ctx), err: ctx.Err()}
}

func (e *Error) Error() string {
	if e.policy == "" {
		return e.cause.Error()
	}
	return e.policy + ": " + e.cause.Error()
}

// Unwrap gives errors.Is both: the cause for those who set one, and what context says for all others.
func (e *Error) Unwrap() []error { return []error{e.cause, e.err} }

// Timeout reports whether the context ended by its deadline. net/url asks for this method by a plain type
// assertion, so http.Client can only see it on the outermost error.
func (e *Error) Timeout() bool { return errors.Is(e.err, context.DeadlineExceeded) }

// Temporary is what package net used to ask for; a deadline was temporary there.
func (e *Error) Temporary() bool { return e.Timeout() }
