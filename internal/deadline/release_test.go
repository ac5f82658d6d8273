package deadline_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// collect runs the garbage collector until cleanups that make other things unreachable have had their effect too.
func collect() {
	for range 5 {
		runtime.GC()
	}
}

// until waits for something that the collector's goroutines bring about.
func until(cond func() bool) bool {
	for range 10_000 {
		if cond() {
			return true
		}
		runtime.GC()
		runtime.Gosched()
	}
	return false
}

// countingParent can be cancelled and counts who is registered with it.
type countingParent struct {
	context.Context
	registered atomic.Int64
}

func (p *countingParent) AfterFunc(f func()) func() bool {
	p.registered.Add(1)
	var once sync.Once
	leave := func() { once.Do(func() { p.registered.Add(-1) }) }
	stop := context.AfterFunc(p.Context, func() { leave(); f() })
	return func() bool { leave(); return stop() }
}

// TestNothingIsLeftBehind: calls under one long-lived parent.
func TestNothingIsLeftBehind(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	parent := &countingParent{Context: inner}
	var before, after runtime.MemStats
	run := func(n int) {
		for i := range n {
			ctx := deadline.New(parent, time.Now().Add(time.Hour))
			ctx.Done()
			switch i % 4 {
			case 0: // as net/http does: a context of its own, ended before the body is
				_, cancel := context.WithCancel(ctx)
				ctx.Release()
				cancel()
			case 1:
				ctx.Cancel()
			case 2: // with another of ours below
				below := deadline.New(context.WithValue(ctx, t, t), time.Now().Add(time.Minute))
				below.Done()
				below.Release()
				ctx.Release()
			default:
				ctx.Release()
			}
		}
		if !until(func() bool { return parent.registered.Load() == 0 }) {
			t.Errorf("%d of %d are still registered", parent.registered.Load(), n)
		}
	}
	run(n / 10)
	runtime.ReadMemStats(&before)
	run(n)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes in %d calls", grown, n)
	}
}

// TestReleasedWithoutAParentAlive: a derived context that nobody cancels stays with the parent, but not for longer. A
// cleanup that held the link would hold all of them for ever.
func TestReleasedWithoutAParentAlive(t *testing.T) {
	var freed atomic.Int32
	const n = 100
	for range n {
		parent, cancel := context.WithCancel(context.Background())
		_ = cancel
		ctx := deadline.New(parent, time.Now().Add(time.Hour))
		ctx.Done()
		child, cancelChild := context.WithCancel(ctx)
		_, _ = child, cancelChild
		ctx.Release()
		runtime.AddCleanup(ctx, func(int) { freed.Add(1) }, 0)
	}
	if !until(func() bool { return freed.Load() == n }) {
		t.Errorf("%d of %d were freed", freed.Load(), n)
	}
}

// parents are the kinds of parent that a context may follow.
var parents = map[string]func(t *testing.T) (context.Context, func()){
	"cancelCtx": func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		return ctx, cancel
	},
	"values": func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		return context.WithValue(ctx, t, t), cancel
	},
	"AfterFunc": func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		return &countingParent{Context: ctx}, cancel
	},
	"ours": func(t *testing.T) (context.Context, func()) {
		ctx := deadline.New(t.Context(), time.Now().Add(time.Hour))
		return ctx, ctx.Cancel
	},
	"values over ours": func(t *testing.T) (context.Context, func()) {
		ctx := deadline.New(t.Context(), time.Now().Add(time.Hour))
		return context.WithValue(ctx, t, t), ctx.Cancel
	},
	"ours, released": func(t *testing.T) (context.Context, func()) {
		parent, cancel := context.WithCancel(t.Context())
		ctx := deadline.New(parent, time.Now().Add(time.Hour))
		ctx.Done()
		ctx.Release()
		return context.WithValue(ctx, t, t), cancel
	},
	"ours, released unasked": func(t *testing.T) (context.Context, func()) {
		above := deadline.New(t.Context(), time.Now().Add(time.Hour))
		above.Done()
		ctx := deadline.New(context.WithValue(above, t, t), time.Now().Add(time.Hour))
		ctx.Release()
		return context.WithValue(ctx, t, t), above.Cancel
	},
	"foreign": func(t *testing.T) (context.Context, func()) {
		f := newForeign()
		return f, f.end
	},
}

// foreign is a context with a channel of its own, which package context could follow only with a goroutine.
type foreign struct {
	context.Context
	done chan struct{}
	err  atomic.Value
}

func newForeign() *foreign { return &foreign{Context: context.Background(), done: make(chan struct{})} }

func (f *foreign) Done() <-chan struct{} { return f.done }

func (f *foreign) Err() error {
	err, _ := f.err.Load().(error)
	return err
}

func (f *foreign) end() {
	f.err.Store(context.Canceled)
	close(f.done)
}

// TestWhoHoldsOnlyTheChannel is woken, however often the collector has run, also in a bubble, for each kind of parent.
func TestWhoHoldsOnlyTheChannel(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := newParent(t)
				woken, selected, kept := make(chan struct{}), make(chan struct{}), make(chan struct{})
				var held <-chan struct{}
				func() {
					ctx := deadline.New(parent, time.Now().Add(time.Second))
					go wait(ctx.Done(), woken)
					go waitInSelect(ctx.Done(), selected)
					held = ctx.Done()
					// Who drops the stop function is owed the call all the same.
					context.AfterFunc(ctx, func() { close(kept) })
					synctest.Wait()
					ctx.Release()
				}()
				collect()
				time.Sleep(time.Hour / 2)
				collect()
				synctest.Wait()
				select {
				case <-woken:
					t.Fatal("woken before the parent's end")
				case <-selected:
					t.Fatal("woken before the parent's end")
				case <-held:
					t.Fatal("ended before the parent")
				default:
				}
				end()
				<-woken
				<-selected
				<-held
				<-kept
			})
		})
	}
}

// TestFunctionsOutliveTheContext: who registered one and kept nothing, not even the context in it, is owed the call.
func TestFunctionsOutliveTheContext(t *testing.T) {
	parent, end := context.WithCancel(t.Context())
	called := make(chan struct{})
	var freed atomic.Bool
	func() {
		ctx := deadline.New(parent, time.Now().Add(time.Hour))
		ctx.AfterFunc(func() { close(called) })
		ctx.Release()
		runtime.AddCleanup(ctx, func(int) { freed.Store(true) }, 0)
	}()
	if !until(freed.Load) {
		t.Error("the context was not freed")
	}
	collect()
	end()
	<-called
}

// TestFollowingCostsNoGoroutine, but for a foreign parent.
func TestFollowingCostsNoGoroutine(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := newParent(t)
				goroutines := runtime.NumGoroutine()
				if name == "foreign" {
					goroutines++
				}
				ctx := deadline.New(parent, time.Now().Add(time.Hour))
				ctx.Done()
				if n := runtime.NumGoroutine(); n != goroutines {
					t.Errorf("%d goroutines, want %d", n, goroutines)
				}
				end()
				if !isDone(ctx) || ctx.Err() != context.Canceled {
					t.Error("who polls must see the end at once")
				}
			})
		})
	}
}

// TestWhoHoldsTheChannelAlone is the same without a function registered, which would hold the link strongly.
func TestWhoHoldsTheChannelAlone(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := newParent(t)
				woken := make(chan struct{})
				func() {
					ctx := deadline.New(parent, time.Now().Add(time.Second))
					go wait(ctx.Done(), woken)
					synctest.Wait()
					ctx.Release()
				}()
				collect()
				time.Sleep(time.Minute)
				collect()
				end()
				<-woken
			})
		})
	}
}

// wait and waitInSelect have a frame of their own, in which there is nothing but the channels.
//
//go:noinline
func wait(done <-chan struct{}, woken chan struct{}) { <-done; close(woken) }

//go:noinline
func waitInSelect(done <-chan struct{}, woken chan struct{}) {
	select {
	case <-done:
	case <-make(chan int):
	}
	close(woken)
}

// TestCollectedInABubble: the cleanup runs outside of the bubble and must not touch anything of it, which is fatal.
func TestCollectedInABubble(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := newParent(t)
				var freed atomic.Int32
				const n = 50
				for range n {
					ctx := deadline.New(parent, time.Now().Add(time.Second))
					ctx.Done()
					ctx.Release()
					runtime.AddCleanup(ctx, func(int) { freed.Add(1) }, 0)
				}
				if !until(func() bool { return freed.Load() == n }) {
					t.Errorf("%d of %d were freed", freed.Load(), n)
				}
				collect()
				end()
			})
		})
	}
}

// TestForeignParentCostsOneGoroutine, not one for each call.
func TestForeignParentCostsOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := newForeign()
		goroutines := runtime.NumGoroutine()
		var ctxs []*deadline.Context
		for range 100 {
			ctx := deadline.New(parent, time.Now().Add(time.Hour))
			ctx.Done()
			ctxs = append(ctxs, ctx)
		}
		if n := runtime.NumGoroutine(); n != goroutines+1 {
			t.Errorf("%d goroutines more for 100 contexts", n-goroutines)
		}
		for _, ctx := range ctxs {
			ctx.Cancel()
		}
		synctest.Wait()
		if n := runtime.NumGoroutine(); n != goroutines {
			t.Errorf("%d goroutines more for none", n-goroutines)
		}
		last := deadline.New(parent, time.Now().Add(time.Hour))
		last.Done()
		parent.end()
		synctest.Wait()
		if last.Err() != context.Canceled || runtime.NumGoroutine() != goroutines {
			t.Errorf("%v, %d goroutines more", last.Err(), runtime.NumGoroutine()-goroutines)
		}
	})
}
