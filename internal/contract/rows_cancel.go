package contract

import (
	"context"
	"errors"
	"testing"
)

// cancelled: what fn returns to a caller who has cancelled says nothing about the dependency. Nobody counts it, and a
// probe's place goes back at once: the next call may be the probe.
func cancelled(t *testing.T, c *Cell) {
	returned := map[string]func(context.Context) error{
		"the context's error": func(ctx context.Context) error { return ctx.Err() },
		"the cause":           context.Cause,
		"another error":       func(context.Context) error { return errFn },
	}
	for name, why := range returned {
		CancelledWith(t, c, name, why)
	}
}

// CancelledWith is the row for one error that fn returns.
func CancelledWith(t *testing.T, c *Cell, name string, why func(context.Context) error) {
	t.Helper()
	s := c.Fresh(t, Setup{OnePlace: true})
	ctx, cancel := context.WithCancelCause(t.Context())
	var last error
	ran, returned := 0, make(chan struct{}, 100)
	_, err := s.Call(ctx, func(ctx context.Context) (int, error) {
		defer func() { returned <- struct{}{} }()
		ran++
		cancel(errCause)
		last = why(ctx)
		return 0, last
	})
	<-returned
	if s.apart() { // it need not have waited for that
		last = errCause
	}
	if ran != 1 || !errors.Is(err, last) {
		t.Errorf("%s: fn ran %d times, and the error is %v; want once, and %v", name, ran, err, last)
	}
	s.WantBooks(Books{Ignored: 1})
	s.Settled()
	s.Passes()
}
