package hedge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// end accounts for the call, and returns its error. It runs in the caller's goroutine.
func (r *race) end(s state) error {
	err := r.errorOf(s)
	outcome := telemetry.Success
	switch s {
	case won:
		r.spoken(r.winner, telemetry.Success, nil)
		if r.winner != &r.first {
			r.p.counts.wonLater.Add(1)
		}
	case left:
		r.p.counts.ignored.Add()
		outcome = telemetry.Canceled
		if errors.Is(r.ctx.Err(), context.DeadlineExceeded) {
			outcome = telemetry.Timeout
		}
	default:
		r.p.counts.failed.Add()
		outcome = telemetry.Failure
	}
	if s == failed && len(r.hedges) > 0 {
		r.logFailure(err)
	}
	if r.tel != nil {
		r.endSpans(outcome, err)
	}
	return err
}

// errorOf is the error of the call.
func (r *race) errorOf(s state) error {
	switch s {
	case won:
		return nil
	case panicked:
		return telemetry.ErrAborted
	}
	made, errs := r.failures()
	if s == left {
		why := cause.Of(r.p.label, r.ctx)
		errs = slices.DeleteFunc(errs, func(err error) bool { return says(why, err) })
		if len(errs) == 0 {
			return why
		}
		return &Error{Name: r.set.Name, Attempts: made, Cause: cause.Of("", r.ctx), Errs: errs}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return &Error{Name: r.set.Name, Attempts: made, Errs: errs}
}

// failures returns how many attempts there were, and the errors of those that failed.
func (r *race) failures() (made int, errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made = 1 + len(r.hedges)
	if r.first.err != nil {
		errs = append(errs, r.first.err)
	}
	for _, a := range r.hedges {
		if a.err != nil {
			errs = append(errs, a.err)
		}
	}
	return made, errs
}

// says reports whether an error says as much as another. Two of one comparable type may panic when they are compared; then
// they are not the same.
func says(much, err error) (same bool) {
	defer func() { _ = recover() }()
	return errors.Is(much, err)
}

// logFailure tells that all attempts have failed.
func (r *race) logFailure(err error) {
	if r.p.scope.Logs(r.ctx, slog.LevelWarn) {
		r.p.scope.Log(r.ctx, slog.LevelWarn, "all attempts failed", slog.Int("attempts", 1+len(r.hedges)), slog.Any("error", err))
	}
}

// logPanic tells of a panic that has no caller left to reach. It is called by who has recovered it: the stack is that of the panic.
func (r *race) logPanic(what string, value any) {
	defer func() { _ = recover() }() // of a logger; nor has that
	r.p.scope.Log(r.ctx, slog.LevelError, what, slog.String("panic", fmt.Sprint(value)), slog.String("stack", string(debug.Stack())))
}
