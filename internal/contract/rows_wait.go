package contract

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// endsWaiting: returns at once, with both the cause and the last real error; tokens that wait go back.
func endsWaiting(t *testing.T, c *Cell) {
	s := c.Fresh(t, Setup{Wait: time.Minute, AttemptTimeout: time.Hour})
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := time.AfterFunc(10*time.Second, func() { cancel(errCause) })
	defer waiting.Stop()
	interrupted(s, ctx, errCause, context.Canceled)
	if b := s.Layers[0].Books(); b != (Books{Ignored: 1, Successes: 1}) {
		t.Errorf("books are %+v, want one ignored, and the call that passed after it", b)
	}

	// What was granted for nothing gives nothing back.
	s = c.Fresh(t, Setup{Wait: time.Minute, Poor: true})
	ctx, cancel = context.WithCancelCause(t.Context())
	waiting = time.AfterFunc(10*time.Second, func() { cancel(errCause) })
	defer waiting.Stop()
	interrupted(s, ctx, errCause, context.Canceled)

	// A deadline that does not show beforehand, so that it is waited towards.
	s = c.Fresh(t, Setup{Wait: time.Minute})
	bounded, stop := context.WithTimeoutCause(t.Context(), 10*time.Second, errCause)
	defer stop()
	interrupted(s, Unforeseen{bounded}, errCause, context.DeadlineExceeded)
}

// interrupted makes a call that waits after its first failure, and is to be interrupted there after 10 s.
func interrupted(s *Subject, ctx context.Context, want ...error) {
	s.t.Helper()
	before, start, ran := s.tokens(), time.Now(), new(atomic.Int64)
	v, err := s.Call(ctx, func(context.Context) (int, error) { ran.Add(1); return 5, errFn })
	if took := time.Since(start); took != 10*time.Second {
		s.t.Errorf("it returned after %v, want 10s: when the context ended", took)
	}
	if !s.apart() { // who does not wait for fn may not know what came of it
		want = append(want, errFn)
	}
	for _, w := range want {
		if !errors.Is(err, w) {
			s.t.Errorf("%v: errors.Is does not find %v in it", err, w)
		}
	}
	if ran.Load() != 1 {
		s.t.Errorf("fn ran %d times, want once", ran.Load())
	}
	if v != 0 && v != 5 {
		s.t.Errorf("the value is %d, want that of the last attempt, or none", v)
	}
	s.wantTokens(before)
	s.Settled()
	s.Passes()
}

// Unforeseen is a context that does not tell its deadline.
type Unforeseen struct{ context.Context }

// Deadline tells of none.
func (Unforeseen) Deadline() (time.Time, bool) { return time.Time{}, false }

// cannotBeMet: no sleeping towards a deadline that comes first; the last error, and the error that says so.
func cannotBeMet(t *testing.T, c *Cell) {
	unmet(t, c, time.Minute, 1, c.Policy.Unmet)
	unmet(t, c, 20*time.Second, 2, c.Policy.Unmet)
}

// unmet makes a call with 30 s of time, that fails and waits until it has made the given number of attempts.
func unmet(t *testing.T, c *Cell, wait time.Duration, attempts int, want error) {
	t.Helper()
	s := c.Fresh(t, Setup{Wait: wait})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	before, start, ran := s.tokens(), time.Now(), 0
	_, err := s.Call(ctx, func(context.Context) (int, error) { ran++; return 5, errFn })
	if took := time.Since(start); took != time.Duration(attempts-1)*wait {
		t.Errorf("attempt %d: it returned after %v: it slept towards a deadline that it could not meet", attempts, took)
	}
	if !errors.Is(err, errFn) || want != nil && !errors.Is(err, want) {
		t.Errorf("attempt %d: %v; want both %v and %v", attempts, err, errFn, want)
	}
	if ran != attempts || ctx.Err() != nil {
		t.Errorf("attempt %d: fn ran %d times; the context: %v", attempts, ran, ctx.Err())
	}
	if spent := before - s.tokens(); spent != float64(attempts-1) {
		t.Errorf("attempt %d: %v tokens were spent on %d retries", attempts, spent, attempts-1)
	}
	s.Settled()
}
