package deadline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestBelowOneThatHasLetGo: a deadline above context.WithoutCancel ends nobody below, and nobody below may rely on it, though
// the Context up there can be seen through it.
func TestBelowOneThatHasLetGo(t *testing.T) {
	for name, test := range map[string]struct {
		below func(*testing.T, context.Context) context.Context
		ends  time.Duration
	}{
		"Bounded": {func(t *testing.T, ctx context.Context) context.Context {
			return bounded(t, ctx, 5*time.Second)
		}, 5 * time.Second},
		"Bounded, with a later deadline between": {func(t *testing.T, ctx context.Context) context.Context {
			return bounded(t, within(t, ctx, time.Hour), 5*time.Second)
		}, 5 * time.Second},
		"Bounded, with an earlier deadline between": {func(t *testing.T, ctx context.Context) context.Context {
			return bounded(t, within(t, ctx, 3*time.Second), 5*time.Second)
		}, 3 * time.Second},
		"Context, below one that is released": {func(t *testing.T, ctx context.Context) context.Context {
			above := deadline.New(ctx, time.Now().Add(3*time.Second))
			c := deadline.New(above, time.Now().Add(5*time.Second))
			c.Done()
			above.Release()
			return c
		}, 5 * time.Second},
		"Bounded, below one that is released": {func(t *testing.T, ctx context.Context) context.Context {
			above := deadline.New(ctx, time.Now().Add(3*time.Second))
			b := bounded(t, above, 5*time.Second)
			b.Done()
			above.Release()
			return b
		}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempt := deadline.New(within(t, t.Context(), time.Second), time.Time{})
				defer attempt.Cancel()
				ctx, began := test.below(t, context.WithoutCancel(attempt)), time.Now()
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
				if took := time.Since(began); took != test.ends || ctx.Err() != context.DeadlineExceeded {
					t.Errorf("after %v: %v, want its end after %v", took, ctx.Err(), test.ends)
				}
			})
		})
	}
}

func bounded(t *testing.T, ctx context.Context, limit time.Duration) context.Context {
	b := deadline.NewBounded(ctx, time.Now().Add(limit))
	t.Cleanup(b.Cancel)
	return b
}

func within(t *testing.T, ctx context.Context, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, limit)
	t.Cleanup(cancel)
	return ctx
}

// TestValuesOverOneThatWasReleased: what follows it costs no goroutine, however it was released, and ends with the parent.
func TestValuesOverOneThatWasReleased(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			top, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			ctx, before := top, goroutines()
			for range 3 {
				above := deadline.New(ctx, time.Time{})
				if asked {
					above.Done()
				}
				above.Release()
				ctx = context.WithValue(above, valueKey{}, 1)
			}
			b := deadline.NewBounded(ctx, time.Now().Add(time.Hour))
			b.Done()
			defer b.Cancel()
			std, stop := context.WithCancel(deadline.New(b, time.Time{}))
			defer stop()
			if n := goroutines() - before; n != 0 {
				t.Errorf("asked: %v: %d goroutines more", asked, n)
			}
			cancel(errLost)
			synctest.Wait()
			for i, ctx := range []context.Context{b, std} {
				if !isDone(ctx) || ctx.Err() != context.Canceled || context.Cause(ctx) != errLost {
					t.Errorf("asked: %v: context %d: %v, cause %v", asked, i, ctx.Err(), context.Cause(ctx))
				}
			}
		})
	}
}
