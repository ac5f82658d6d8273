package deadline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// wrapped is a context of somebody else's around another, with no methods of its own but Value.
type wrapped struct{ context.Context }

func (w wrapped) Value(key any) any { return w.Context.Value(key) }

// kept has the function of a derived context called when all is over, and not before.
func kept(t *testing.T, ctx context.Context, cancel context.CancelFunc) context.Context {
	t.Cleanup(cancel)
	return ctx
}

func withCancel(t *testing.T, parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	return kept(t, ctx, cancel)
}

// derive returns contexts of all kinds that end with ctx.
func derive(t *testing.T, ctx context.Context) map[string]context.Context {
	withTimeout, cancel := context.WithTimeout(ctx, time.Hour)
	withValue := context.WithValue(ctx, valueKey{}, 1)
	ours := deadline.New(ctx, time.Time{})
	ours.Done()
	released := deadline.New(withValue, time.Time{})
	released.Done()
	released.Release()
	releasedUnasked := deadline.New(withValue, time.Time{})
	releasedUnasked.Release()
	return map[string]context.Context{
		"WithCancel":                withCancel(t, ctx),
		"WithTimeout":               kept(t, withTimeout, cancel),
		"WithValue":                 withValue,
		"WithCancel over WithValue": withCancel(t, withValue),
		"wrapped":                   wrapped{ctx},
		"WithCancel over wrapped":   withCancel(t, wrapped{ctx}),
		"ours":                      ours,
		"ours with a limit":         deadline.New(ctx, time.Now().Add(time.Hour)),
		"ours, released":            released,
		"ours, released unasked":    releasedUnasked,
		"WithCancel over ours":      withCancel(t, ours),
	}
}

// TestCauseReachesTheDerived, made before the end and after it, and leaves no goroutine with them.
func TestCauseReachesTheDerived(t *testing.T) {
	for _, limited := range []bool{true, false} {
		t.Run(fmt.Sprintf("limited=%v", limited), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				var limit time.Time
				if limited {
					limit = time.Now().Add(time.Minute)
				}
				ctx := deadline.New(parent, limit)
				alone := goroutines()
				before := derive(t, ctx)
				without := context.WithoutCancel(ctx)
				synctest.Wait()
				for name, derived := range before {
					if derived.Err() != nil || context.Cause(derived) != nil {
						t.Errorf("%s: %v, cause %v before the end", name, derived.Err(), context.Cause(derived))
					}
				}
				ctx.CancelCause(lost)
				synctest.Wait()
				if n := goroutines(); n != alone {
					t.Errorf("%d goroutines more after the end", n-alone)
				}
				after := derive(t, ctx)
				synctest.Wait()
				if n := goroutines(); n != alone {
					t.Errorf("%d goroutines more for what was derived after the end", n-alone)
				}
				cancel(errors.New("too late"))
				time.Sleep(2 * time.Hour)
				for when, all := range map[string]map[string]context.Context{"before": before, "after": after} {
					for name, derived := range all {
						if !isDone(derived) || derived.Err() != context.Canceled || context.Cause(derived) != errLost {
							t.Errorf("%s, %s: %v, cause %v", name, when, derived.Err(), context.Cause(derived))
						}
					}
				}
				if without.Err() != nil || context.Cause(without) != nil {
					t.Errorf("WithoutCancel: %v, cause %v", without.Err(), context.Cause(without))
				}
			})
		})
	}
}

// TestDerivedKeepTheirOwnCause: those that ended before.
func TestDerivedKeepTheirOwnCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := deadline.New(t.Context(), time.Time{})
		own := errors.New("own")
		withCause, cancel := context.WithCancelCause(ctx)
		cancel(own)
		withTimeout, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		ours := deadline.New(ctx, time.Now().Add(time.Second))
		oursLost := deadline.New(ctx, time.Time{})
		oursLost.CancelCause(other)
		oursCancelled := deadline.New(ctx, time.Time{})
		oursCancelled.Cancel()
		time.Sleep(2 * time.Second)
		_ = ours.Err()
		ctx.CancelCause(lost)
		synctest.Wait()
		for _, c := range []struct {
			ctx  context.Context
			want error
		}{
			{withCause, own},
			{withTimeout, context.DeadlineExceeded},
			{ours, context.DeadlineExceeded},
			{oursLost, errOther},
			{oursCancelled, context.Canceled},
			{ctx, errLost},
		} {
			if got := context.Cause(c.ctx); got != c.want {
				t.Errorf("%v: cause %v, want %v", c.ctx, got, c.want)
			}
		}
	})
}

// TestParentsEndFirst: then it is their error and their cause, of whatever kind they are.
func TestParentsEndFirst(t *testing.T) {
	for name, newParent := range parents {
		for _, early := range []bool{true, false} {
			for _, wait := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/early=%v/wait=%v", name, early, wait), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						parent, end := newParent(t)
						ctx := deadline.New(parent, time.Time{})
						if early {
							ctx.Done()
						}
						end()
						if wait {
							synctest.Wait()
						}
						ctx.CancelCause(lost)
						if got, want := context.Cause(ctx), context.Cause(parent); got != want || want == nil || !isDone(ctx) {
							t.Errorf("cause %v, want %v", got, want)
						}
					})
				})
			}
		}
	}
}

// TestHedge is what these contexts are for: attempts at once, one of them wins and is released, the rest have lost.
func TestHedge(t *testing.T) {
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprintf("asked=%v", asked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				boom := errors.New("boom")
				var attempts [4]*deadline.Context
				var below [len(attempts)]context.Context
				for i := range attempts {
					attempts[i] = deadline.New(parent, time.Time{})
					below[i] = context.WithValue(attempts[i], valueKey{}, i)
					if asked {
						below[i] = withCancel(t, attempts[i])
					}
				}
				const winner = 2
				for i, ctx := range attempts {
					if i == winner {
						go ctx.Release()
					} else {
						go ctx.CancelCause(lost)
					}
				}
				synctest.Wait()
				collect()
				time.Sleep(time.Hour)
				want := [len(attempts)]error{errLost, errLost, nil, errLost}
				for _, late := range []bool{false, true} {
					if late {
						cancel(boom)
						synctest.Wait()
						want[winner] = boom
					}
					for i, ctx := range attempts {
						if context.Cause(ctx) != want[i] || context.Cause(below[i]) != want[i] {
							t.Errorf("attempt %d: cause %v, below it %v, want %v", i, context.Cause(ctx), context.Cause(below[i]), want[i])
						}
					}
				}
			})
		})
	}
}

// TestNilCause: no cause, which is Cancel, and a Cause of no error, which comes to the same.
func TestNilCause(t *testing.T) {
	for _, cause := range []*deadline.Cause{nil, deadline.NewCause(nil)} {
		for _, asked := range []bool{true, false} {
			ctx := deadline.New(t.Context(), time.Time{})
			if asked {
				ctx.Done()
			}
			ctx.CancelCause(cause)
			if ctx.Err() != context.Canceled || context.Cause(ctx) != context.Canceled || !isDone(ctx) {
				t.Errorf("%v, cause %v", ctx.Err(), context.Cause(ctx))
			}
		}
	}
}

// TestCauseFromABubble can be used in another, and outside of all.
func TestCauseFromABubble(t *testing.T) {
	var cause *deadline.Cause
	synctest.Test(t, func(t *testing.T) {
		cause = deadline.NewCause(errOther)
		ctx := deadline.New(t.Context(), time.Time{})
		ctx.Done()
		ctx.CancelCause(cause)
	})
	use := func(t *testing.T) {
		ctx := deadline.New(t.Context(), time.Time{})
		ctx.CancelCause(cause)
		for name, derived := range derive(t, ctx) {
			if context.Cause(derived) != errOther || !isDone(derived) {
				t.Errorf("%s: %v", name, context.Cause(derived))
			}
		}
	}
	synctest.Test(t, use)
	use(t)
}
