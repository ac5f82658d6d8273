package failure_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/failure"
)

var errPlain = errors.New("plain")

// Each has an opinion of one kind, and may have an error below.
type (
	refused struct {
		yes   bool
		below error
	}
	exhausted struct {
		yes   bool
		below error
	}
	wait struct {
		d     time.Duration
		below error
	}
	// joined has an opinion on when several may be ready.
	joined struct {
		d   time.Duration
		all []error
	}
	// poses as a refusal through As only.
	poser struct{}
)

func (e refused) Error() string            { return "refused" }
func (e refused) Refused() bool            { return e.yes }
func (e refused) Unwrap() error            { return e.below }
func (e exhausted) Error() string          { return "exhausted" }
func (e exhausted) Exhausted() bool        { return e.yes }
func (e exhausted) Unwrap() error          { return e.below }
func (e wait) Error() string               { return "wait" }
func (e wait) RetryAfter() time.Duration   { return e.d }
func (e wait) Unwrap() error               { return e.below }
func (joined) Error() string               { return "joined" }
func (e joined) RetryAfter() time.Duration { return e.d }
func (e joined) Unwrap() []error           { return e.all }
func (poser) Error() string                { return "poser" }
func (poser) As(target any) bool {
	if t, ok := target.(*interface{ Refused() bool }); ok {
		*t = refused{yes: true}
		return true
	}
	return false
}

func wrap(err error) error { return fmt.Errorf("wrapped: %w", err) }

// The outermost opinion counts: it knows what it did before the one below refused.
func TestRefused(t *testing.T) {
	yes, no := refused{yes: true}, refused{}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errPlain, false},
		{yes, true},
		{wrap(wrap(yes)), true},
		{refused{false, yes}, false},
		{refused{true, no}, true},
		{wrap(refused{false, wrap(yes)}), false},
		{errors.Join(errPlain, yes), true},
		{errors.Join(no, yes), false}, // both are outermost; the first one speaks
		{errors.Join(wrap(errPlain), wrap(refused{false, yes})), false},
		{wrap(poser{}), true},
	} {
		if got := failure.Refused(test.err); got != test.want {
			t.Errorf("%#v: %v, want %v", test.err, got, test.want)
		}
	}
}

// One that has retried to the end is enough, wherever it is: to repeat the whole would repeat it too.
func TestExhausted(t *testing.T) {
	yes, no := exhausted{yes: true}, exhausted{}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errPlain, false},
		{no, false},
		{wrap(yes), true},
		{exhausted{false, yes}, true},
		{exhausted{true, no}, true},
		{errors.Join(no, yes), true},
		{errors.Join(yes, no), true},
		{errors.Join(no, errPlain, no), false},
		{wrap(errors.Join(errPlain, errors.Join(no, wrap(yes)))), true},
		{fmt.Errorf("%w and %w", no, yes), true},
	} {
		if got := failure.Exhausted(test.err); got != test.want {
			t.Errorf("%#v: %v, want %v", test.err, got, test.want)
		}
	}
}

// Who asks for most time is heard; a wish of zero, or below, is none.
func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		err  error
		want time.Duration
	}{
		{nil, 0},
		{errPlain, 0},
		{wait{}, 0},
		{wait{d: -time.Second}, 0},
		{wrap(wait{d: 3}), 3},
		{wait{0, wait{d: 3}}, 3},
		{wait{5, wait{d: 3}}, 5},
		{errors.Join(wait{}, wait{d: 3}), 3},
		{errors.Join(wait{d: 3}, wrap(wait{d: 5}), wait{d: 4}), 5},
		{errors.Join(wait{d: -1}, errPlain), 0},
		{joined{2, []error{wait{d: 3}, wait{d: 2}}}, 2},
		{wrap(joined{0, []error{wait{d: 3}, errPlain}}), 0},
		{errors.Join(joined{2, []error{wait{d: 9}}}, wait{d: 3}), 3},
	} {
		if got, asked := failure.RetryAfter(test.err); got != test.want || asked != (test.want > 0) {
			t.Errorf("%#v: %v, %v, want %v", test.err, got, asked, test.want)
		}
	}
}

// Find is errors.As: first itself, then what is below, depth first.
func TestFind(t *testing.T) {
	for _, err := range []error{
		nil, errPlain, wrap(errPlain),
		wait{d: 1},
		wrap(wait{d: 2}),
		wait{1, wait{d: 2}},
		errors.Join(errPlain, wait{d: 3}), errors.Join(wrap(wait{d: 4}), wait{d: 5}),
		errors.Join(errors.Join(errPlain), wrap(errors.Join(wait{d: 6}))),
	} {
		var want wait
		wantOK := errors.As(err, &want)
		if got, ok := failure.Find[wait](err); ok != wantOK || got != want {
			t.Errorf("%#v: %v, %v, want %v, %v", err, got, ok, want, wantOK)
		}
	}
}

// It runs on every failure of every attempt.
func TestAllocatesNothing(t *testing.T) {
	err := wrap(errors.Join(errPlain, wrap(&wait{d: 5}), wrap(&refused{yes: true}), &exhausted{}))
	if n := testing.AllocsPerRun(100, func() {
		failure.Refused(err)
		failure.Exhausted(err)
		failure.RetryAfter(err)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
