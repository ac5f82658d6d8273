package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/hedge"
)

// plain is an error with the methods that policies look for.
type plain struct{ refused, exhausted bool }

func (e *plain) Error() string   { return "plain" }
func (e *plain) Refused() bool   { return e.refused }
func (e *plain) Exhausted() bool { return e.exhausted }

func never(error) bool { return false }

func every(d time.Duration, n int) (at []time.Duration) {
	for i := range n {
		at = append(at, time.Duration(i)*d)
	}
	return at
}

// TestWho says who wins, and when, and when the attempts start.
func TestWho(t *testing.T) {
	if2 := func(err error) bool { return !errors.Is(err, errBoom) }
	for _, test := range []struct {
		name   string
		config hedge.Config
		acts   []act
		starts []time.Duration
		wins   int // 0: all fail, and the value is that of the first
		after  time.Duration
	}{
		{"quick", free(10*ms, 1), []act{{after: 9 * ms}}, every(0, 1), 1, 9 * ms},
		{"the second is quicker", free(10*ms, 1), []act{{after: 50 * ms}, {after: 5 * ms}}, every(10*ms, 2), 2, 15 * ms},
		{"the first is quicker after all", free(10*ms, 1), []act{{after: 50 * ms}, {after: 50 * ms}}, every(10*ms, 2), 1, 50 * ms},
		{"the third of four", free(10*ms, 3), []act{{after: time.Hour}, {after: time.Hour}, {after: 15 * ms}, {after: time.Hour}}, every(10*ms, 4), 3, 35 * ms},

		{"a failure starts the next at once", free(10*ms, 1), []act{{3 * ms, errBoom, false}, {after: 50 * ms}}, []time.Duration{0, 3 * ms}, 2, 53 * ms},
		{"so does that of a hedge", free(10*ms, 2), []act{{after: 50 * ms}, {3 * ms, errBoom, false}, {after: 8 * ms}}, []time.Duration{0, 10 * ms, 13 * ms}, 3, 21 * ms},
		{"a quick failure waits for a slow success", free(10*ms, 1), []act{{after: time.Hour}, {0, errBoom, false}}, every(10*ms, 2), 1, time.Hour},
		{"the first's too", free(10*ms, 1), []act{{11 * ms, errBoom, false}, {after: time.Hour}}, every(10*ms, 2), 2, time.Hour + 10*ms},
		{"two failures wait", free(10*ms, 2), []act{{25 * ms, errBoom, false}, {0, errBoom, false}, {after: time.Minute}}, []time.Duration{0, 10 * ms, 10 * ms}, 3, time.Minute + 10*ms},

		{"all fail at once", free(10*ms, 2), []act{{0, errBoom, false}, {0, errBoom, false}, {0, errBoom, false}}, every(0, 3), 0, 0},
		{"all fail, the first last", free(10*ms, 1), []act{{30 * ms, errBoom, false}, {5 * ms, errBoom, false}}, every(10*ms, 2), 0, 30 * ms},
		{"one fails, and HedgeIf is against another", with(free(10*ms, 1), never), []act{{3 * ms, errBoom, false}}, every(0, 1), 0, 3 * ms},
		{"HedgeIf is against another, and one is under way", with(free(10*ms, 2), never), []act{{12 * ms, errBoom, false}, {after: 5 * ms}}, every(10*ms, 2), 2, 15 * ms},
		{"HedgeIf is for some", with(free(10*ms, 2), if2), []act{{3 * ms, errors.New("other"), false}, {2 * ms, errBoom, false}}, []time.Duration{0, 3 * ms}, 0, 5 * ms},

		{"one hedge is the default", free(10*ms, 0), []act{{after: time.Minute}, {after: time.Minute}}, every(10*ms, 2), 1, time.Minute},
		{"two", free(10*ms, 2), []act{{after: time.Minute}, {after: time.Minute}, {after: time.Minute}}, every(10*ms, 3), 1, time.Minute},
		{"ten", free(time.Second, 10), slices.Repeat([]act{{after: time.Minute}}, 11), every(time.Second, 11), 1, time.Minute},
		{"no delay", free(-1, 2), []act{{after: 30 * ms}, {after: 20 * ms}, {after: 10 * ms}}, every(0, 3), 3, 10 * ms},
		{"none, a failure", free(-time.Hour, 2), []act{{5 * ms, errBoom, false}, {5 * ms, errBoom, false}, {after: 10 * ms}}, every(0, 3), 3, 10 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := play(test.acts...)
				v, err := hedge.Do(t.Context(), hedge.MustNew(test.config), f)
				if took := time.Since(s.zero); v != max(test.wins, 1) || (err == nil) != (test.wins > 0) || took != test.after {
					t.Errorf("got %d, %v after %v; want that of %d after %v", v, err, took, test.wins, test.after)
				}
				synctest.Wait()
				if !slices.Equal(s.all(), test.starts) {
					t.Errorf("attempts at %v, want %v", s.all(), test.starts)
				}
			})
		})
	}
}

func with(c hedge.Config, hedgeIf func(error) bool) hedge.Config {
	c.HedgeIf = hedgeIf
	return c
}

// After these errors another attempt starts at once, and after those it does not.
func TestHedgeable(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{errBoom, true},
		{context.DeadlineExceeded, true}, // of the attempt
		{fmt.Errorf("x: %w", errBoom), true},
		{&plain{}, true},
		{&hedge.StatusError{StatusCode: 503}, true},
		{&hedge.StatusError{StatusCode: 429}, true},
		{nil, false},
		{context.Canceled, false},
		{fmt.Errorf("x: %w", context.Canceled), false},
		{backoff.Permanent(errBoom), false},
		{fmt.Errorf("x: %w", backoff.Permanent(errBoom)), false},
		{&plain{refused: true}, false},
		{errors.Join(errBoom, &plain{exhausted: true}), false},
		{&hedge.StatusError{StatusCode: 404}, false},
	} {
		if got := hedge.Hedgeable(test.err); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
		if test.err == nil {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			f, s := play(act{err: test.err}, act{})
			v, err := hedge.Do(t.Context(), hedge.MustNew(free(time.Hour, 1)), f)
			if test.want && (v != 2 || err != nil) || !test.want && (v != 1 || err != test.err) || time.Since(s.zero) != 0 {
				t.Errorf("%v: %d, %v after %v", test.err, v, err, time.Since(s.zero))
			}
		})
	}
}

// All failed: the error is the first attempt's, the others are behind it, in their order and not in that of their failing.
func TestAllFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := []error{errors.New("one"), &plain{}, errors.New("three")}
		c := free(10*ms, 2)
		c.Name = "search"
		f, _ := play(act{after: 50 * ms, err: errs[0]}, act{after: 30 * ms, err: errs[1]}, act{after: time.Minute, err: errs[2]})
		p := hedge.MustNew(c)
		v, err := hedge.Do(t.Context(), p, f)
		var all *hedge.Error
		if v != 1 || !errors.As(err, &all) || all.Name != "search" || all.Attempts != 3 || all.Cause != nil || !slices.Equal(all.Errs, errs) {
			t.Fatalf("got %d, %#v", v, err)
		}
		for _, each := range errs {
			if !errors.Is(err, each) {
				t.Errorf("%v is not in it", each)
			}
		}
		if err.Error() != "hedge search: 3 of 3 attempts failed: one; plain; three" {
			t.Errorf("text %q", err)
		}
		if s := p.Snapshot(); s.Calls != 1 || s.Failures != 1 || s.Hedges != 2 || s.Wins != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// One failing alone: its error as it is, whatever the door.
func TestOneFails(t *testing.T) {
	p := hedge.MustNew(with(free(time.Hour, 1), never))
	fail := func(context.Context) (int, error) { return 7, errBoom }
	if v, err := hedge.Do(t.Context(), p, fail); v != 7 || err != errBoom {
		t.Errorf("Do: %d, %v", v, err)
	}
	if v, err := hedge.DoDiscard(t.Context(), p, fail, func(int) { t.Error("discarded") }); v != 7 || err != errBoom {
		t.Errorf("DoDiscard: %d, %v", v, err)
	}
	if err := p.Run(t.Context(), fails); err != errBoom {
		t.Errorf("Run: %v", err)
	}
	wrapped := hedge.Wrap(p, func(_ context.Context, in int) (int, error) { return in, errBoom })
	if v, err := wrapped(t.Context(), 7); v != 7 || err != errBoom {
		t.Errorf("Wrap: %d, %v", v, err)
	}
}

// What the error of a call says to those who look: policies above, package net/url, telemetry.
func TestErrorSays(t *testing.T) {
	refused := &plain{refused: true}
	for _, test := range []struct {
		err              hedge.Error
		refused, timeout bool
		word, text       string
	}{
		{hedge.Error{Errs: []error{errBoom, refused}}, false, false, "_OTHER", "hedge: 2 of 0 attempts failed: boom; plain"},
		{hedge.Error{Name: "x", Attempts: 2, Errs: []error{refused, refused}}, true, false, "_OTHER", "hedge x: 2 of 2 attempts failed: plain; plain"},
		{hedge.Error{Attempts: 2, Errs: []error{context.DeadlineExceeded, errBoom}}, false, true, "timeout", "hedge: 2 of 2 attempts failed: context deadline exceeded; boom"},
		{hedge.Error{Attempts: 2, Cause: context.DeadlineExceeded, Errs: []error{refused}}, false, true, "timeout", "hedge: context deadline exceeded: 1 of 2 attempts failed: plain"},
		{hedge.Error{Attempts: 2, Cause: context.Canceled, Errs: []error{context.DeadlineExceeded}}, false, false, "canceled", "hedge: context canceled: 1 of 2 attempts failed: context deadline exceeded"},
	} {
		e := &test.err
		if e.Refused() != test.refused || e.Timeout() != test.timeout || e.Temporary() != test.timeout || e.ErrorType() != test.word || e.Error() != test.text {
			t.Errorf("%q: refused %v, timeout %v, %q", e, e.Refused(), e.Timeout(), e.ErrorType())
		}
	}
}
