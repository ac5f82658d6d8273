package attempt_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/deadline"
)

var _ deadline.Ender = (*attempt.Numbered)(nil)

type key struct{}

func TestFrom(t *testing.T) {
	bare := context.WithValue(t.Context(), key{}, "mine")
	second := attempt.With(bare, 2)
	derived, cancel := context.WithCancel(context.WithValue(second, key{}, "other"))
	defer cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		want int
	}{
		{"nobody has said", bare, 1},
		{"said", second, 2},
		{"derived", derived, 2},
		{"the innermost counts", attempt.With(derived, 3), 3},
		{"the first within the second", attempt.With(second, 1), 1},
		{"a retry of it", context.WithoutCancel(second), 2},
	} {
		if got := attempt.From(test.ctx); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	if second.Value(key{}) != "mine" || derived.Value(key{}) != "other" || bare.Value(key{}) != "mine" {
		t.Error("it hides other values")
	}
}

// In all but its number it is the context that it was made of, to package context too.
func TestIsItsParent(t *testing.T) {
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	limit := time.Now().Add(time.Hour)
	parent, stop := context.WithDeadline(ctx, limit)
	defer stop()
	second := attempt.With(parent, 2)
	inner, end := context.WithCancel(second)
	defer end()
	if d, ok := second.Deadline(); !ok || !d.Equal(limit) || second.Err() != nil {
		t.Errorf("deadline %v, %v; %v", d, ok, second.Err())
	}
	cancel(cause)
	<-inner.Done() // at once: nobody needs a goroutine to pass it on
	if second.Err() != context.Canceled || context.Cause(second) != cause || context.Cause(inner) != cause {
		t.Errorf("%v, because %v; derived: because %v", second.Err(), context.Cause(second), context.Cause(inner))
	}
}

func TestAllocations(t *testing.T) {
	ctx := t.Context()
	var sink context.Context
	if n := testing.AllocsPerRun(100, func() { sink = attempt.With(ctx, 1000) }); n != 1 {
		t.Errorf("With: %v allocations, want 1", n)
	}
	if n := testing.AllocsPerRun(100, func() { attempt.From(sink) }); n != 0 {
		t.Errorf("From: %v allocations, want none", n)
	}
}
