package deadline_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestEverythingAtOnce: Done from 100 goroutines while the limit, if there is one, Cancel with a cause and without,
// Release and the parent's end race. Whoever sees an error finds the channel closed, and the other way round; there is
// one channel, one error and one cause, for the context and for what is derived from it.
func TestEverythingAtOnce(t *testing.T) {
	errGone := errors.New("gone")
	for round := range 300 {
		parent, cancel := context.WithCancelCause(t.Context())
		limit := time.Now().Add(time.Duration(round) * time.Microsecond)
		if round%4 == 1 {
			limit = time.Time{}
		}
		ctx := deadline.New(parent, limit)
		type end struct{ err, cause error }
		var wg sync.WaitGroup
		var mu sync.Mutex
		ends := map[end]bool{}
		var derived []context.Context
		var calls sync.WaitGroup // done once by each function
		see := func() {
			err := ctx.Err()
			done := ctx.Done()
			if err != nil {
				mu.Lock()
				ends[end{err, context.Cause(ctx)}] = true
				mu.Unlock()
				select {
				case <-done:
				default:
					t.Errorf("Err is %v and Done is open", err)
				}
				return
			}
			select {
			case <-done:
				if ctx.Err() == nil {
					t.Error("Done is closed and Err is nil")
				}
			default:
			}
		}
		derive := func(under context.Context) {
			child, stop := context.WithCancel(under)
			context.AfterFunc(child, stop) // it is not to end otherwise
			mu.Lock()
			derived = append(derived, child)
			mu.Unlock()
		}
		for g := range 100 {
			wg.Go(func() {
				switch {
				case g == 50 && round%2 == 0:
					cancel(errGone)
				case g == 60 && round%3 == 0:
					ctx.Release()
				case g == 70 && round%5 == 0:
					ctx.Cancel()
				case g == 55 && round%5 == 1, g == 75 && round%7 == 1:
					ctx.CancelCause(lost)
				case g == 56 && round%5 == 1, g == 65 && round%7 == 2:
					ctx.CancelCause(other)
				case g%10 == 0:
					calls.Add(1)
					stop := context.AfterFunc(ctx, func() {
						if ctx.Err() == nil {
							t.Error("called before the end")
						}
						calls.Done()
					})
					if g%20 == 0 && stop() {
						calls.Done()
					}
				case g%10 == 1:
					child, stop := context.WithCancel(ctx)
					_ = child.Err()
					stop()
				case g%10 == 2:
					derive(ctx)
				case g%10 == 3:
					derive(context.WithValue(ctx, valueKey{}, g))
				case g%10 == 4:
					derive(deadline.New(ctx, time.Time{}))
				}
				see()
				if ctx.Value(valueKey{}) != nil {
					t.Error("a value from nowhere")
				}
				if ctx.Expired() && ctx.Err() != context.DeadlineExceeded {
					t.Error("expired, and", ctx.Err())
				}
			})
		}
		wg.Wait()
		cancel(nil)
		see()
		calls.Wait()
		for _, child := range derived {
			<-child.Done()
			ends[end{child.Err(), context.Cause(child)}] = true
		}
		if ctx.Err() == nil || len(ends) != 1 {
			t.Errorf("round %d: %v, cause %v; seen %v", round, ctx.Err(), context.Cause(ctx), ends)
		}
	}
}

// TestHedgeRace: attempts under one parent ask for what they like until one of them has won.
func TestHedgeRace(t *testing.T) {
	for range 200 {
		parent, cancel := context.WithCancel(t.Context())
		var attempts [3]*deadline.Context
		for i := range attempts {
			attempts[i] = deadline.New(parent, time.Time{})
		}
		var won atomic.Int32
		var winners [len(attempts)]context.Context
		var wg sync.WaitGroup
		for i, ctx := range attempts {
			wg.Go(func() {
				child := context.WithValue(ctx, valueKey{}, i)
				if i != 0 {
					child, cancel := context.WithCancel(ctx)
					context.AfterFunc(child, cancel)
					winners[i] = child
				} else {
					winners[i] = child // nobody asks for Done
				}
				if won.CompareAndSwap(0, int32(i)+1) {
					ctx.Release()
					for j, loser := range attempts {
						if j != i {
							loser.CancelCause(lost)
						}
					}
				}
				ctx.Cancel() // deferred: nothing for the winner
			})
		}
		wg.Wait()
		winner := int(won.Load()) - 1
		for i, ctx := range attempts {
			switch err := context.Cause(ctx); {
			case i == winner && (err != nil || winners[i].Err() != nil):
				t.Errorf("the winner: %v, below it %v", err, winners[i].Err())
			case i != winner && err != errLost && err != context.Canceled: // by itself, before the winner told it
				t.Errorf("a loser: %v", err)
			}
		}
		cancel()
		<-winners[winner].Done()
		if attempts[winner].Err() != context.Canceled {
			t.Error(attempts[winner].Err())
		}
	}
}

// keyOf is a context that keeps the key by which package context looks for a cause.
type keyOf struct {
	context.Context
	key any
}

func (*keyOf) Err() error { return context.Canceled }

func (k *keyOf) Value(key any) any {
	k.key = key
	return nil
}

// TestOneEndOfMany: an end takes its time when there are many functions to call, and others arrive meanwhile. One of
// them is the end, or it was released, for good.
func TestOneEndOfMany(t *testing.T) {
	k := &keyOf{Context: t.Context()}
	_ = context.Cause(k)
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	ofParent, ofLost := parent.Value(k.key), func() any {
		ctx := deadline.New(parent, time.Time{})
		ctx.CancelCause(lost)
		return ctx.Value(k.key)
	}()
	if ofParent == nil || ofLost == nil || ofLost == ofParent {
		t.Fatal("package context asks in another way, see causekey.go")
	}
	for round := range 300 {
		ctx := deadline.New(parent, time.Time{})
		var called atomic.Int32
		const functions = 300
		for range functions {
			ctx.AfterFunc(func() { called.Add(1) })
		}
		var ready atomic.Int32
		var wg sync.WaitGroup
		together := func(f func()) {
			const n = 4
			wg.Go(func() {
				for ready.Add(1); ready.Load() < n; {
					runtime.Gosched()
				}
				f()
			})
		}
		ends := func() { ctx.CancelCause(lost) }
		together(ends)
		together(ctx.Release)
		if round%2 == 0 {
			together(ctx.Release)
		} else {
			together(ends)
		}
		together(func() {
			for range 200 {
				switch v := ctx.Value(k.key); v {
				case ofParent, ofLost:
				default:
					t.Errorf("it shows %v", v)
				}
			}
		})
		wg.Wait()
		switch err := ctx.Err(); {
		case err == nil && called.Load() > 0:
			t.Error("released, and its functions were called")
		case err != nil && (context.Cause(ctx) != errLost || !isDone(ctx)):
			t.Errorf("%v, cause %v, Done is closed: %v", err, context.Cause(ctx), isDone(ctx))
		}
		before := context.Cause(ctx)
		ctx.Release()
		ctx.CancelCause(other)
		if cause := context.Cause(ctx); cause != before {
			t.Errorf("first %v, and then %v", before, cause)
		}
		for before != nil && called.Load() < functions {
			runtime.Gosched()
		}
	}
}

// TestReleasedTwiceAtOnce: the second does nothing, nor does it when Cancel was first.
func TestReleasedTwiceAtOnce(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	for round := range 5000 {
		ctx := deadline.New(parent, time.Time{})
		done := ctx.Done()
		second := ctx.Release
		if round%2 == 0 {
			second = ctx.Cancel
		}
		var ready atomic.Int32
		meet := func() {
			ready.Add(1)
			for n := 0; ready.Load() < 2; n++ {
				if n > 1000 { // the other has no processor
					runtime.Gosched()
				}
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { meet(); ctx.Release() })
		meet()
		second()
		wg.Wait()
		if err := ctx.Err(); isDone(ctx) != (err != nil) || ctx.Done() != done {
			t.Fatalf("%v, Done is closed: %v", err, isDone(ctx))
		}
	}
}

// TestPolledWhileItEnds: who ends the parent and then polls sees the end, though it may be another goroutine's at this
// very moment.
func TestPolledWhileItEnds(t *testing.T) {
	for range 10_000 {
		parent := deadline.New(t.Context(), time.Time{})
		ctx := deadline.New(parent, time.Time{})
		parent.CancelCause(lost)
		if !isDone(ctx) { // registers, and is called back at once
			t.Fatal("Done is open")
		}
	}
}
