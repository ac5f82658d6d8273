package deadline_test

import (
	"context"
	"runtime"
	"strings"
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
	for range 1000 {
		if cond() {
			return true
		}
		runtime.GC()
		runtime.Gosched()
	}
	return false
}

// goroutines counts those of the bubble that it is called in: those of earlier tests may still be about to end.
func goroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "synctest bubble ")
}

// countingParent can be cancelled and counts who is registered with it. It hides what it is made of: package context, and
// we, would register with that.
type countingParent struct {
	context.Context
	registered atomic.Int64
}

func (p *countingParent) Value(any) any { return nil }

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
	// Each asks for Done, but for a few.
	lives := []func(limit time.Time){
		func(limit time.Time) { // as net/http does: a context of its own, ended before the body is
			ctx := deadline.New(parent, limit)
			_, cancel := context.WithCancel(ctx)
			ctx.Release()
			cancel()
		},
		func(limit time.Time) {
			ctx := deadline.New(parent, limit)
			ctx.Done()
			ctx.Cancel()
		},
		func(limit time.Time) {
			ctx := deadline.New(parent, limit)
			sink = ctx.Done()
			ctx.CancelCause(lost)
		},
		func(limit time.Time) { // with another of ours below
			ctx := deadline.New(parent, limit)
			below := deadline.New(context.WithValue(ctx, t, t), time.Now().Add(time.Minute))
			below.Done()
			below.Release()
			ctx.Release()
		},
		func(limit time.Time) { // several at once
			var ctxs [3]*deadline.Context
			for i := range ctxs {
				ctxs[i] = deadline.New(parent, limit)
				ctxs[i].Done()
			}
			for _, ctx := range ctxs {
				ctx.Release()
			}
		},
		func(limit time.Time) { // that is released after the one above
			ctx := deadline.New(parent, limit)
			below := deadline.New(ctx, time.Now().Add(time.Minute))
			below.Done()
			ctx.Release()
			below.Release()
		},
		func(limit time.Time) { // a retry's attempt under one of a hedge that has lost
			ctx := deadline.New(parent, limit)
			below := deadline.New(ctx, time.Now().Add(time.Minute))
			_, cancel := context.WithCancel(below)
			ctx.CancelCause(lost)
			below.Cancel()
			cancel()
		},
		func(limit time.Time) {
			ctx := deadline.New(parent, limit)
			ctx.Done()
			ctx.Release()
		},
		func(limit time.Time) { // asked for after Release, when it is the parent's
			ctx := deadline.New(parent, limit)
			ctx.Release()
			_, cancel := context.WithCancel(ctx)
			cancel()
		},
		func(limit time.Time) {
			ctx := deadline.New(parent, limit)
			ctx.CancelCause(lost)
			_, cancel := context.WithCancel(ctx)
			cancel()
		},
	}
	run := func(n int) {
		limit := time.Now().Add(time.Hour)
		for i := range n {
			life := lives[i/2%len(lives)]
			if i%2 == 0 {
				life(limit)
			} else {
				life(time.Time{})
			}
		}
		if !until(func() bool { return parent.registered.Load() == 0 }) {
			t.Errorf("%d of %d are still registered", parent.registered.Load(), n)
		}
	}
	run(n / 10)
	collect()
	runtime.ReadMemStats(&before)
	run(n)
	// Not its bytes: the map of the parent does not shrink, and is as large as the cleanups were ever behind.
	grown := 0
	if !until(func() bool {
		runtime.ReadMemStats(&after)
		grown = int(after.HeapObjects) - int(before.HeapObjects)
		return grown < n/100
	}) {
		t.Errorf("the heap grew by %d objects in %d calls", grown, n)
	}
}

// TestNothingIsLeftBelowOneThatRuns: calls under an attempt that runs for as long as the process. Those that wait for the
// channels of some are woken all the same.
func TestNothingIsLeftBelowOneThatRuns(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			parent, end := newParent(t)
			above := deadline.New(parent, time.Time{})
			above.Done()
			var waiting []<-chan struct{}
			const rounds, n = 20, 1000
			objects := func() int {
				var m runtime.MemStats
				for i := range n {
					ctx := deadline.New(above, time.Time{})
					if done := ctx.Done(); i%(n/10) == 0 {
						waiting = append(waiting, done)
					}
					ctx.Release()
				}
				collect()
				runtime.ReadMemStats(&m)
				return int(m.HeapObjects)
			}
			objects()
			before := objects() // some are left until the next come
			for range rounds {
				objects()
			}
			if grown := objects() - before; grown > rounds*n/4 {
				t.Errorf("the heap grew by %d objects in %d calls", grown, rounds*n)
			}
			for _, done := range waiting {
				select {
				case <-done:
					t.Fatal("woken before the end")
				default:
				}
			}
			end()
			for _, done := range waiting {
				<-done
			}
			runtime.KeepAlive(above)
		})
	}
}

// TestManyReleasedBelow: their channels go on when the one above is released, and are closed when it ends.
func TestManyReleasedBelow(t *testing.T) {
	for name, newParent := range parents {
		for _, release := range []bool{false, true} {
			parent, end := newParent(t)
			above := deadline.New(parent, time.Time{})
			above.Done()
			var dones []<-chan struct{}
			for i := range 500 {
				ctx := deadline.New(above, time.Time{})
				if done := ctx.Done(); i%3 == 0 {
					dones = append(dones, done)
				}
				ctx.Release()
				if i == 250 {
					collect()
				}
			}
			if release {
				above.Release()
				collect()
			}
			for i, done := range dones {
				select {
				case <-done:
					t.Errorf("%s: %d is closed", name, i)
				default:
				}
			}
			end()
			for _, done := range dones {
				<-done
			}
		}
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

// TestEndedKeepsNoFunctions: the context does not, and the stop function of one keeps that one only.
func TestEndedKeepsNoFunctions(t *testing.T) {
	ctx := deadline.New(t.Context(), time.Time{})
	var stops [3]func() bool
	var called sync.WaitGroup
	var freed atomic.Int32
	for i := range stops {
		held := new([64]byte)
		runtime.AddCleanup(held, func(int) { freed.Add(1) }, 0)
		called.Add(1)
		stops[i] = ctx.AfterFunc(func() { held[0] = 1; called.Done() })
	}
	one := stops[1]
	stops = [3]func() bool{}
	ctx.CancelCause(lost)
	called.Wait()
	if !until(func() bool { return freed.Load() >= 2 }) {
		t.Errorf("%d of 2 were freed", freed.Load())
	}
	if one() {
		t.Error("stopped after the end")
	}
	runtime.KeepAlive(ctx)
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
				want := goroutines()
				if name == "foreign" {
					want++
				}
				ctx := deadline.New(parent, time.Now().Add(time.Hour))
				ctx.Done()
				if n := goroutines(); n != want {
					t.Errorf("%d goroutines, want %d", n, want)
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
		before := goroutines()
		var ctxs []*deadline.Context
		for range 100 {
			ctx := deadline.New(parent, time.Now().Add(time.Hour))
			ctx.Done()
			ctxs = append(ctxs, ctx)
		}
		if n := goroutines(); n != before+1 {
			t.Errorf("%d goroutines more for 100 contexts", n-before)
		}
		for _, ctx := range ctxs {
			ctx.Cancel()
		}
		synctest.Wait()
		if n := goroutines(); n != before {
			t.Errorf("%d goroutines more for none", n-before)
		}
		last := deadline.New(parent, time.Now().Add(time.Hour))
		last.Done()
		parent.end()
		synctest.Wait()
		if n := goroutines(); last.Err() != context.Canceled || n != before {
			t.Errorf("%v, %d goroutines more", last.Err(), n-before)
		}
	})
}
