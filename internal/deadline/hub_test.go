package deadline_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestOneRegistration: all contexts under a parent are one for it.
func TestOneRegistration(t *testing.T) {
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	parent := &countingParent{Context: inner}
	var all []*deadline.Context
	for i := range 100 {
		ctx := deadline.New(parent, time.Now().Add(time.Hour))
		ctx.Done()
		if i%2 == 0 {
			ctx.Release()
		}
		all = append(all, ctx)
	}
	if n := parent.registered.Load(); n != 1 {
		t.Errorf("%d registrations for %d contexts", n, len(all))
	}
	for _, ctx := range all {
		ctx.Cancel() // those that were not released
	}
	// The released are still held here, so the parent has to tell them.
	collect()
	runtime.Gosched()
	if n := parent.registered.Load(); n != 1 {
		t.Errorf("%d registrations for those that were released", n)
	}
	runtime.KeepAlive(all)
	if !until(func() bool { return parent.registered.Load() == 0 }) {
		t.Error("still registered for nobody")
	}
}

// TestSeveralAtOnce: the first contexts under a parent have a registration each. Released, they are still told of its end, and
// forgotten when nobody is there.
func TestSeveralAtOnce(t *testing.T) {
	for _, held := range []bool{false, true} {
		inner, cancel := context.WithCancel(t.Context())
		parent := &countingParent{Context: inner}
		var ctxs []*deadline.Context
		for range 10 {
			ctx := deadline.New(parent, time.Now().Add(time.Hour))
			ctx.Done()
			ctxs = append(ctxs, ctx)
		}
		if n := parent.registered.Load(); n > 4 {
			t.Errorf("%d registrations", n)
		}
		var woken sync.WaitGroup
		for i, ctx := range ctxs {
			if done := ctx.Done(); held {
				woken.Go(func() { <-done })
			}
			if i%4 == 1 {
				ctx.Cancel()
			} else {
				ctx.Release()
			}
		}
		ctxs = nil
		collect()
		if !held && !until(func() bool { return parent.registered.Load() == 0 }) {
			t.Errorf("%d registrations for nobody", parent.registered.Load())
		}
		cancel()
		woken.Wait()
	}
}

// TestManyParents: what is made for one goes with its end, and with the parent itself where nobody ends it.
func TestManyParents(t *testing.T) {
	const n = 10_000
	for name, life := range map[string]func(){
		"ended": func() {
			parent, cancel := context.WithCancel(context.Background())
			ctx := deadline.New(parent, time.Now().Add(time.Hour))
			done := ctx.Done()
			ctx.Release()
			cancel()
			<-done // lest there be many goroutines at once, which the runtime keeps
		},
		"dropped": func() {
			parent, cancel := context.WithCancel(context.Background())
			_ = cancel
			ctx := deadline.New(parent, time.Now().Add(time.Hour))
			ctx.Done()
			ctx.Release()
		},
		"dropped, the context too": func() {
			parent, cancel := context.WithCancel(context.Background())
			_ = cancel
			deadline.New(parent, time.Time{}).Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			for range n { // a map does not shrink
				life()
			}
			collect()
			runtime.ReadMemStats(&before)
			for range n {
				life()
			}
			if !until(func() bool {
				runtime.ReadMemStats(&after)
				return int(after.HeapObjects)-int(before.HeapObjects) < n/100
			}) {
				t.Errorf("the heap grew by %d objects in %d calls", after.HeapObjects-before.HeapObjects, n)
			}
		})
	}
}

// TestValuesAreNotKept: a long-lived context with a request's values is a parent for as long as the request.
func TestValuesAreNotKept(t *testing.T) {
	base, cancel := context.WithCancel(t.Context())
	defer cancel()
	var freed atomic.Bool
	func() {
		value := new([64]byte)
		runtime.AddCleanup(value, func(int) { freed.Store(true) }, 0)
		ctx := deadline.New(context.WithValue(base, valueKey{}, value), time.Now().Add(time.Hour))
		ctx.Done()
		ctx.Release()
	}()
	other := deadline.New(base, time.Now().Add(time.Hour)) // which keeps what base has for us
	other.Done()
	if !until(freed.Load) {
		t.Error("the value was not freed")
	}
	other.Cancel()
}

// withAfterFunc is a context with a value and an AfterFunc, and else what it is made of.
type withAfterFunc struct {
	context.Context
	held *[64]byte
}

func (w *withAfterFunc) AfterFunc(f func()) func() bool { return context.AfterFunc(w.Context, f) }

// TestAnAfterFuncIsNotKept where package context would not call it either.
func TestAnAfterFuncIsNotKept(t *testing.T) {
	base, cancel := context.WithCancel(t.Context())
	defer cancel()
	var freed atomic.Bool
	func() {
		value := new([64]byte)
		runtime.AddCleanup(value, func(int) { freed.Store(true) }, 0)
		ctx := deadline.New(&withAfterFunc{base, value}, time.Now().Add(time.Hour))
		ctx.Done()
		ctx.Release()
	}()
	other := deadline.New(base, time.Now().Add(time.Hour))
	other.Done()
	if !until(freed.Load) {
		t.Error("the value was not freed")
	}
	other.Cancel()
}

// TestWokenWhileSwept: parents end at any moment of a sweep, and of the coming and going of others. All who wait for the
// channel of a released context, and hold nothing else, are woken, and nobody before.
func TestWokenWhileSwept(t *testing.T) {
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for round := range 20 {
		for name, newParent := range parents {
			parent, end := newParent(t)
			var ended atomic.Bool
			var waiting sync.WaitGroup
			const waiters, passersBy = 200, 2
			for range waiters {
				ctx := deadline.New(parent, time.Now().Add(time.Hour))
				done := ctx.Done()
				waiting.Go(func() {
					<-done
					if !ended.Load() {
						t.Errorf("%s: woken before the parent's end", name)
					}
				})
				ctx.Release()
			}
			left := make(chan struct{})
			var passing sync.WaitGroup
			for range passersBy {
				passing.Go(func() {
					for {
						select {
						case <-left:
							return
						default:
						}
						ctx := deadline.New(parent, time.Now().Add(time.Hour))
						ctx.Done()
						if rand.IntN(2) == 0 {
							ctx.Release()
						} else {
							ctx.Cancel()
						}
					}
				})
			}
			for range round {
				runtime.Gosched()
			}
			ended.Store(true)
			end()
			waiting.Wait()
			close(left)
			passing.Wait()
		}
	}
	close(stop)
	collector.Wait()
}

// TestNobodyIsForgotten: hubs are retired while others come, for each kind of parent. Who came is told of the end.
func TestNobodyIsForgotten(t *testing.T) {
	for _, newParent := range parents {
		parent, end := newParent(t)
		var wg sync.WaitGroup
		var ctxs [4][]*deadline.Context
		for i := range ctxs {
			wg.Go(func() {
				for round := range 300 {
					ctx := deadline.New(parent, time.Time{})
					ctx.Done()
					if round%20 == i {
						ctxs[i] = append(ctxs[i], ctx)
					} else {
						ctx.Cancel() // nobody is there, for a moment
					}
					if round%50 == 0 {
						runtime.GC()
					}
				}
			})
		}
		wg.Wait()
		end()
		for _, some := range ctxs {
			for _, ctx := range some {
				<-ctx.Done()
			}
		}
	}
}

// TestReleasedBelowOneThatRuns: its channel goes on to whoever leads the one above, when that is released too.
func TestReleasedBelowOneThatRuns(t *testing.T) {
	for name, newParent := range parents {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, depth := range []int{1, 2, 5} {
					parent, end := newParent(t)
					chain := []*deadline.Context{deadline.New(parent, time.Now().Add(time.Second))}
					for range depth {
						below := deadline.New(context.WithValue(chain[0], t, t), time.Now().Add(time.Second))
						chain = append([]*deadline.Context{below}, chain...)
					}
					var woken atomic.Int32
					for _, ctx := range chain {
						done := ctx.Done()
						go func() {
							<-done
							woken.Add(1)
						}()
					}
					for _, ctx := range chain { // the innermost first
						ctx.Release()
					}
					top := chain[depth]
					chain = nil
					collect()
					time.Sleep(time.Minute)
					synctest.Wait()
					if n := woken.Load(); n != 0 {
						t.Errorf("%d woken before the end", n)
					}
					end()
					synctest.Wait()
					if n := int(woken.Load()); n != depth+1 {
						t.Errorf("%d of %d woken", n, depth+1)
					}
					if top.Err() != context.Canceled {
						t.Error(top.Err())
					}
				}
			})
		})
	}
}

// TestReleasedBelowOneThatEnds ends with it.
func TestReleasedBelowOneThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*deadline.Context){
			"Cancel":      (*deadline.Context).Cancel,
			"CancelCause": func(c *deadline.Context) { c.CancelCause(lost) },
			"the limit":   func(*deadline.Context) { time.Sleep(time.Second) },
		} {
			above := deadline.New(t.Context(), time.Now().Add(time.Second))
			ctx := deadline.New(context.WithValue(above, t, t), time.Now().Add(time.Millisecond))
			done := ctx.Done()
			ctx.Release()
			time.Sleep(time.Second / 2)
			if ctx.Err() != nil {
				t.Errorf("%s: %v before the end", name, ctx.Err())
			}
			end(above)
			synctest.Wait()
			select {
			case <-done:
			default:
				t.Errorf("%s: the channel is open", name)
			}
			if ctx.Err() != above.Err() || context.Cause(ctx) != context.Cause(above) || ctx.Expired() {
				t.Errorf("%s: %v, cause %v, expired %v", name, ctx.Err(), context.Cause(ctx), ctx.Expired())
			}
		}
	})
}

// TestEndedInTheMiddleOfASweep: each channel is closed, and once.
func TestEndedInTheMiddleOfASweep(t *testing.T) {
	for i, done := range deadline.FinishBetweenTwoSteps() {
		select {
		case <-done:
		default:
			t.Errorf("channel %d is open", i)
		}
	}
}

// TestRetiredBeforeItWasJoined: who found a hub that was then retired looks again.
func TestRetiredBeforeItWasJoined(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	if refused, another := deadline.FoundAndRetired(parent); !refused || !another {
		t.Errorf("it was refused: %v, and found another: %v", refused, another)
	}
}
