package contract

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errCause = errors.New("the caller's own reason")

// contextDone: fn is not called; the error is the cause, wrapped with the policy's name.
func contextDone(t *testing.T, c *Cell) {
	ended := map[string]func() (context.Context, context.CancelFunc){
		"cancelled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx, cancel
		},
		"cancelled with a cause": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errCause)
			return ctx, func() {}
		},
		"past its deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), -time.Second)
		},
		"past its deadline, with a cause": func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), -time.Second, errCause)
		},
	}
	for name, end := range ended {
		s := c.Fresh(t, Setup{AttemptTimeout: time.Minute})
		ctx, cancel := end()
		v, err := s.Call(ctx, func(context.Context) (int, error) {
			t.Errorf("%s: fn was called", name)
			return 7, nil
		})
		cancel()
		if v != 0 || !errors.Is(err, ctx.Err()) || !errors.Is(err, context.Cause(ctx)) {
			t.Errorf("%s: got %d, %v; want 0 and an error that is both %v and %v", name, v, err, ctx.Err(), context.Cause(ctx))
		}
		if err != nil && !strings.HasPrefix(err.Error(), s.Layers[0].Label) {
			t.Errorf("%s: %q does not begin with %q", name, err, s.Layers[0].Label)
		}
		if b := s.Layers[0].Books(); b != (Books{Ignored: 1}) {
			t.Errorf("%s: books are %+v, want one call, ignored", name, b)
		}
		s.Settled()
	}
}

// endsDuring: a success is a success, however late it comes.
func endsDuring(t *testing.T, c *Cell) {
	for _, limit := range []time.Duration{0, time.Minute} {
		s := c.Fresh(t, Setup{AttemptTimeout: limit})
		ctx, cancel := context.WithCancelCause(t.Context())
		wantSuccess(s, ctx, "cancelled", func(context.Context) (int, error) { cancel(errCause); return 7, nil })

		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		wantSuccess(s, ctx, "past the caller's deadline", func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 7, nil })
		stop()
		wantSuccess(s, t.Context(), "past the attempt's limit", func(context.Context) (int, error) { time.Sleep(2 * time.Minute); return 7, nil })

		s.WantBooks(Books{Successes: 3})
		s.Settled()
	}
}

func wantSuccess(s *Subject, ctx context.Context, name string, fn Func) {
	s.t.Helper()
	if v, err := s.Call(ctx, fn); v != 7 || err != nil {
		s.t.Errorf("%s: got %d, %v, want 7, nil", name, v, err)
	}
}

// livesOn: the context of an attempt that succeeded is not cancelled at the return. Its time limit stops, and it goes
// on following the caller's, so that what was opened under it can still be read.
func livesOn(t *testing.T, c *Cell) {
	type variant struct {
		limit time.Duration
		look  func(context.Context) // what fn does with its context
		fails int                   // so often before it succeeds
	}
	nothing := func(context.Context) {}
	waits := func(ctx context.Context) { // and keeps nothing but the channel
		done := ctx.Done()
		go func() { <-done }()
	}
	bubbles(t, map[string]variant{
		"no limit":                         {look: nothing},
		"no limit, Done":                   {look: waits},
		"limit":                            {limit: time.Second, look: nothing},
		"limit, Done":                      {limit: time.Second, look: waits},
		"limit, second attempt":            {limit: time.Second, look: nothing, fails: 1},
		"limit, second attempt, Done":      {limit: time.Second, look: waits, fails: 1},
		"no limit, second attempt, Done":   {look: waits, fails: 1},
		"limit, derived and not cancelled": {limit: time.Second, look: leaveDerived},
	}, func(t *testing.T, v variant) {
		s := c.Fresh(t, Setup{AttemptTimeout: v.limit})
		if v.fails >= s.Attempts {
			t.Skip("it makes one attempt")
		}
		parent, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var seen context.Context
		run := 0
		if _, err := s.Call(parent, func(ctx context.Context) (int, error) {
			if run++; run <= v.fails {
				return 0, errFn
			}
			seen = ctx
			v.look(ctx)
			return 7, nil
		}); err != nil {
			t.Fatal(err)
		}
		alive(t, seen, "on return")
		if limit, ok := seen.Deadline(); ok {
			t.Errorf("it still has a deadline after the return, %v, and the caller's has none", limit)
		}
		time.Sleep(10 * time.Second)
		alive(t, seen, "after the time limit")
		cancel(errCause)
		follows(t, seen)
		s.Settled()
	})
}

func alive(t *testing.T, ctx context.Context, when string) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Fatalf("%s: Done is closed: %v", when, context.Cause(ctx))
	default:
	}
	if err := ctx.Err(); err != nil {
		t.Fatalf("%s: the context ended: %v", when, err)
	}
}

// follows checks that a context ended with the caller's, whose cause was errCause.
func follows(t *testing.T, ctx context.Context) {
	t.Helper()
	synctest.Wait()
	select {
	case <-ctx.Done():
	default:
		t.Error("the caller's context has ended, and that of the attempt has not")
	}
	if context.Cause(ctx) != errCause {
		t.Errorf("the cause is %v, want %v", context.Cause(ctx), errCause)
	}
}

// leaveDerived derives a context that lives as long as its parent, as an open body or a transaction does.
func leaveDerived(ctx context.Context) {
	inner, cancel := context.WithCancel(ctx)
	go func() {
		<-inner.Done()
		cancel()
	}()
}
