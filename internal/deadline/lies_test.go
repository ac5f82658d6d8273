package deadline_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// lying is a context that says it has ended, from some time on, and has not.
type lying struct {
	context.Context
	lies *bool
}

func (l lying) Err() error {
	if *l.lies {
		return context.DeadlineExceeded
	}
	return nil
}

// TestAParentThatLies ends those below, and nobody waits for a channel that nobody closes.
func TestAParentThatLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		above, foreign := deadline.New(t.Context(), time.Time{}), newForeign()
		for name, parent := range map[string]context.Context{
			"ours":        above,
			"not ours":    context.WithValue(t.Context(), valueKey{}, 0),
			"a goroutine": foreign,
		} {
			for _, asked := range []bool{false, true} {
				lies := false
				ctx := deadline.New(lying{parent, &lies}, time.Now().Add(time.Hour))
				if asked {
					ctx.Done()
				}
				ctx.Release()
				called := make(chan struct{})
				lies = true
				if err := ctx.Err(); err != context.DeadlineExceeded {
					t.Errorf("%s: %v", name, err)
				}
				ctx.Done()
				ctx.AfterFunc(func() { close(called) })
				if asked {
					<-called
				}
			}
		}
		above.Cancel()
		foreign.end()
	})
}

// lateDone is a context that says it can never end, until some time.
type lateDone struct {
	context.Context
	late bool
}

func (l *lateDone) Done() <-chan struct{} {
	if l.late {
		return l.Context.Done()
	}
	return nil
}

// TestAParentThatCouldNotEnd and does: nobody waits for a channel that nobody closes.
func TestAParentThatCouldNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, aboveFirst := range []bool{false, true} {
			inner, cancel := context.WithCancel(t.Context())
			parent := &lateDone{Context: inner}
			above := deadline.New(parent, time.Time{})
			above.Done()
			below := deadline.New(above, time.Time{})
			below.Done()
			if aboveFirst {
				above.Release()
				below.Release()
			} else {
				below.Release()
				above.Release()
			}
			parent.late = true
			cancel()
			if below.Err() == nil || !isDone(below) || !isDone(above) {
				t.Error("it goes on")
			}
		}
	})
}

// TestALieIsNotForOthers: who shares the channel of a parent that lies goes on.
func TestALieIsNotForOthers(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := newParent(t)
				lies := false
				var all []*deadline.Context
				for range 2 {
					running, free := deadline.New(parent, time.Time{}), deadline.New(parent, time.Time{})
					running.Done()
					free.Done()
					free.Release()
					all = append(all, running, free)
				}
				liar := deadline.New(lying{parent, &lies}, time.Time{})
				liar.Done()
				liar.Release()
				for range 100 { // so that the liar's channel is held weakly
					free := deadline.New(parent, time.Time{})
					free.Done()
					free.Release()
					all = append(all, free)
				}
				collect()
				lies = true
				if liar.Err() == nil || !isDone(liar) {
					t.Error("it goes on")
				}
				synctest.Wait()
				for i, ctx := range all {
					if ctx.Err() != nil || isDone(ctx) {
						t.Errorf("%d: %v, its channel is closed: %v", i, ctx.Err(), isDone(ctx))
					}
				}
				end()
				synctest.Wait()
				for _, ctx := range all {
					<-ctx.Done()
				}
			})
		})
	}
}

// TestALieUnderOneThatIsFollowed: the channel is with whoever leads that one, who goes on.
func TestALieUnderOneThatIsFollowed(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := newParent(t)
				defer end()
				above := deadline.New(parent, time.Time{})
				stop := above.AfterFunc(func() {})
				defer stop()
				lies := false
				ctx := deadline.New(lying{above, &lies}, time.Time{})
				done := ctx.Done()
				ctx.Release()
				above.Release()
				lies = true
				_ = ctx.Err()
				<-done
			})
		})
	}
}

// TestALieLeavesNothing with those who share the channel.
func TestALieLeavesNothing(t *testing.T) {
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	parent := &countingParent{Context: inner}
	var freed atomic.Int32
	const n = 100
	for range n {
		value := new([64]byte)
		runtime.AddCleanup(value, func(int) { freed.Add(1) }, 0)
		lies := false
		ctx := deadline.New(lying{context.WithValue(parent, valueKey{}, value), &lies}, time.Time{})
		ctx.Done()
		lies = true
		_ = ctx.Err()
	}
	if !until(func() bool { return freed.Load() == n }) {
		t.Errorf("%d of %d were freed", freed.Load(), n)
	}
	if !until(func() bool { return parent.registered.Load() == 0 }) {
		t.Error("still registered for nobody")
	}
}
