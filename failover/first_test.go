package failover_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/failover"
)

type fallback = func(context.Context) (int, error)

func gives(v int, err error) fallback { return func(context.Context) (int, error) { return v, err } }

func TestFirst(t *testing.T) {
	other := errors.New("other")
	for name, row := range map[string]struct {
		fns  []fallback
		want int
		errs []error
	}{
		"the first":         {[]fallback{gives(1, nil), gives(2, nil)}, 1, nil},
		"a cached value":    {[]fallback{gives(1, errDown), gives(2, nil), gives(3, nil)}, 2, nil},
		"a default":         {[]fallback{gives(1, errDown), gives(2, other), gives(3, nil)}, 3, nil},
		"all fail":          {[]fallback{gives(1, errDown), gives(2, other)}, 2, []error{errDown, other}},
		"one fails":         {[]fallback{gives(1, errDown)}, 1, []error{errDown}},
		"permanent":         {[]fallback{gives(1, backoff.Permanent(errDown)), gives(2, nil)}, 1, []error{errDown}},
		"permanent, later":  {[]fallback{gives(1, other), gives(2, backoff.Permanent(errDown)), gives(3, nil)}, 2, []error{other, errDown}},
		"another's cancel":  {[]fallback{gives(1, context.Canceled), gives(2, nil)}, 2, nil},
		"a refusal":         {[]fallback{gives(1, turnedAway{}), gives(2, nil)}, 2, nil},
		"a panic elsewhere": {[]fallback{gives(1, nil), func(context.Context) (int, error) { panic("called") }}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := failover.First(t.Context(), row.fns...)
			if v != row.want || (err == nil) != (row.errs == nil) {
				t.Error(v, err)
			}
			for _, want := range row.errs {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			all, is := err.(*failover.FirstError)
			if is != (len(row.errs) > 1) || is && len(all.Errs) != len(row.errs) {
				t.Errorf("%T %v", err, err)
			}
		})
	}
	if _, err := failover.First(t.Context(), gives(1, errDown), gives(2, other)); err.Error() != "failover: down\nother" {
		t.Errorf("%q", err)
	}
}

func TestFirstAndItsCaller(t *testing.T) {
	own := errors.New("own")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	v, err := failover.First(ctx, func(context.Context) (int, error) {
		calls++
		cancel(own)
		return 7, errDown
	}, gives(2, nil))
	if v != 7 || !errors.Is(err, own) || !errors.Is(err, errDown) || !errors.Is(err, context.Canceled) || calls != 1 {
		t.Error(v, err)
	}
	if v, err = failover.First(ctx, gives(1, nil)); v != 0 || !errors.Is(err, own) || !errors.Is(err, context.Canceled) {
		t.Error(v, err)
	}

	ctx, cancel = context.WithCancelCause(t.Context())
	v, err = failover.First(ctx, func(ctx context.Context) (int, error) { // the error says it all
		cancel(own)
		return 7, context.Cause(ctx)
	}, gives(2, nil))
	if v != 7 || err != own {
		t.Error(v, err)
	}

	ctx, cancel = context.WithCancelCause(t.Context())
	v, err = failover.First(ctx, gives(1, errDown), func(ctx context.Context) (int, error) {
		cancel(own)
		return 7, nil
	})
	if v != 7 || err != nil {
		t.Error("a success is one:", v, err)
	}
	cancel(nil)
}

func TestFirstOfNothing(t *testing.T) {
	if _, err := failover.First[int](t.Context()); err == nil {
		t.Error("no functions")
	}
	called := false
	_, err := failover.First(t.Context(), func(context.Context) (int, error) { called = true; return 0, nil }, nil)
	if err == nil || err.Error() != "failover.First: function 2: fn is nil" || called {
		t.Error(err, called)
	}
}

func TestFirstPanics(t *testing.T) {
	if recovered(func() { _, _ = failover.First(t.Context(), func(context.Context) (int, error) { panic("boom") }) }) != "boom" {
		t.Error("it does not reach the caller")
	}
	done := make(chan bool)
	go func() {
		returned := false
		defer func() { done <- returned }()
		_, _ = failover.First(t.Context(), func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, gives(1, nil))
		returned = true
	}()
	if <-done {
		t.Error("it went on after Goexit")
	}
}

// A fallback that answers leaves nothing behind.
func TestFirstAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	down := func(context.Context) (int, error) { return 0, errDown }
	up := func(context.Context) (int, error) { return 1, nil }
	if n := testing.AllocsPerRun(100, func() { _, _ = failover.First(ctx, down, down, up) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
