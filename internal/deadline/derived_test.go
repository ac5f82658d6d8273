package deadline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestDerived: what is derived from a context ends with it, and without a goroutine of its own.
func TestDerived(t *testing.T) {
	boom := errors.New("boom")
	type key struct{}
	for name, c := range map[string]struct {
		released bool
		end      func(ctx *deadline.Context, cancelParent context.CancelCauseFunc)
		want     error // nil: it does not end
		cause    error
	}{
		"limit":                  {false, func(*deadline.Context, context.CancelCauseFunc) { time.Sleep(time.Second) }, context.DeadlineExceeded, context.DeadlineExceeded},
		"Cancel":                 {false, func(ctx *deadline.Context, _ context.CancelCauseFunc) { ctx.Cancel() }, context.Canceled, context.Canceled},
		"parent":                 {false, func(_ *deadline.Context, cancel context.CancelCauseFunc) { cancel(boom) }, context.Canceled, boom},
		"limit after Release":    {true, func(*deadline.Context, context.CancelCauseFunc) { time.Sleep(time.Minute) }, nil, nil},
		"parent after Release":   {true, func(_ *deadline.Context, cancel context.CancelCauseFunc) { cancel(boom) }, context.Canceled, boom},
		"GC, parent and Release": {true, func(_ *deadline.Context, cancel context.CancelCauseFunc) { collect(); cancel(boom) }, context.Canceled, boom},
	} {
		for _, late := range []bool{false, true} { // derived after Release
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					ctx := deadline.New(parent, time.Now().Add(time.Second))
					if c.released && late {
						ctx.Release()
					}
					before := goroutines()
					withCancel, stop1 := context.WithCancel(ctx)
					defer stop1()
					withTimeout, stop2 := context.WithTimeout(ctx, time.Hour)
					defer stop2()
					withValue := context.WithValue(ctx, key{}, 1)
					nested := deadline.New(withValue, time.Now().Add(time.Hour))
					nested.Done()
					synctest.Wait()
					if n := goroutines(); n != before {
						t.Errorf("%d goroutines more", n-before)
					}
					if c.released && !late {
						ctx.Release()
					}
					c.end(ctx, cancel)
					synctest.Wait()
					for i, derived := range []context.Context{withCancel, withTimeout, withValue, nested} {
						if isDone(derived) != (c.want != nil) || derived.Err() != c.want || context.Cause(derived) != c.cause {
							t.Errorf("derived context %d: %v, cause %v", i, derived.Err(), context.Cause(derived))
						}
					}
				})
			})
		}
	}
}

// TestAfterFunc: each function is called once, in a goroutine of its own, unless it was stopped.
func TestAfterFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := deadline.New(t.Context(), time.Now().Add(time.Second))
		var called [6]chan struct{}
		var stops [6]func() bool
		for i := range called {
			called[i] = make(chan struct{})
			stops[i] = ctx.AfterFunc(func() {
				close(called[i])
				if i%2 == 0 {
					time.Sleep(time.Hour) // it holds up nobody
				}
			})
		}
		for _, i := range []int{0, 3, 5} { // the first, one between, the last
			if !stops[i]() || stops[i]() {
				t.Errorf("stop %d: want true, and then false", i)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, c := range called {
			stopped := i == 0 || i == 3 || i == 5
			select {
			case <-c:
				if stopped {
					t.Errorf("function %d was stopped and called", i)
				}
			default:
				if !stopped {
					t.Errorf("function %d was not called", i)
				}
			}
			if stops[i]() {
				t.Errorf("function %d was stopped after the end", i)
			}
		}
		late := make(chan struct{})
		if stop := ctx.AfterFunc(func() { close(late) }); stop() {
			t.Error("stopped after the end")
		}
		<-late
		time.Sleep(2 * time.Hour) // a bubble waits for all
	})
}

// TestAfterFuncFollowsAReleasedContext that had never been asked for its channel.
func TestAfterFuncFollowsAReleasedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx := deadline.New(parent, time.Now().Add(time.Second))
		ctx.Release()
		called := make(chan struct{})
		ctx.AfterFunc(func() { close(called) })
		stop := ctx.AfterFunc(func() { t.Error("stopped and called") })
		if !stop() {
			t.Error("it was not stopped")
		}
		time.Sleep(time.Minute)
		select {
		case <-called:
			t.Error("called before the end")
		default:
		}
		cancel()
		<-called
	})
}
