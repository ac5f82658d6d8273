package hedge_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// A thousand goroutines make calls whose attempts succeed, fail, panic, end together or late, with and without a value,
// while some callers go. Whatever was produced is returned or discarded, once.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(free(2*ms, 3))
		var values books
		var callers sync.WaitGroup
		goroutines, each := 1000, fewer(20, 5)
		for g := range goroutines {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(g), 1))
				for range each {
					stormCall(t.Context(), p, &values, random.Uint64())
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		values.balance(t)
		s := p.Snapshot()
		if s.Calls != uint64(goroutines*each) || s.Successes == 0 || s.Failures == 0 || s.Ignored == 0 || s.Wins == 0 {
			t.Errorf("%+v: want %d calls, some of each kind", s, goroutines*each)
		}
	})
}

func stormCall(ctx context.Context, p *hedge.Policy, values *books, seed uint64) {
	defer func() { _ = recover() }()
	random := rand.New(rand.NewPCG(seed, 2))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if wait := time.Duration(random.IntN(8)) * ms; random.IntN(4) == 0 {
		go func() { // time.AfterFunc with no time, in a bubble, crashes the race detector now and then: golang/go#78156
			time.Sleep(wait)
			cancel()
		}()
	}
	v, err := hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
		random := rand.New(rand.NewPCG(seed, uint64(10+hedge.AttemptFrom(ctx))))
		time.Sleep(time.Duration(random.IntN(8)) * ms) // whole milliseconds: many end at the same moment
		switch random.IntN(8) {
		case 0:
			panic("storm")
		case 1, 2:
			return 0, errBoom
		case 3:
			return values.produce(), errBoom
		default:
			return values.produce(), nil
		}
	}, values.account)
	_ = err
	if v != 0 {
		values.account(v)
	}
}

// A loser's context is cancelled, with a cause that says so, also in what was derived from it; and at the moment of the win.
func TestLoserIsTold(t *testing.T) {
	type key struct{}
	for name, look := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"itself":  func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
		"derived": context.WithCancel,
		"limited": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		},
		"a value": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithValue(ctx, key{}, 1), func() {}
		},
		"unlooked": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var told atomic.Int32
				v, err := hedge.Do(t.Context(), hedge.MustNew(free(10*ms, 2)), func(ctx context.Context) (int, error) {
					n := hedge.AttemptFrom(ctx)
					if n == 2 {
						time.Sleep(15 * ms)
						return n, nil
					}
					if look == nil {
						time.Sleep(time.Minute)
					} else {
						inner, cancel := look(ctx)
						defer cancel()
						<-inner.Done()
						if took := time.Since(start); took != 25*ms {
							t.Errorf("attempt %d told after %v", n, took)
						}
						ctx = inner
					}
					if ctx.Err() != context.Canceled || context.Cause(ctx) != hedge.ErrLost {
						t.Errorf("attempt %d: %v, because %v", n, ctx.Err(), context.Cause(ctx))
					}
					told.Add(1)
					return n, nil
				})
				if v != 2 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if told.Load() != 2 {
					t.Errorf("%d losers were told", told.Load())
				}
			})
		})
	}
}

// Who is discarded, and when: each value that does not reach the caller, as soon as it is there; of those that came with an
// error, all but the zero value.
func TestWhatIsDiscarded(t *testing.T) {
	for _, test := range []struct {
		name   string
		config hedge.Config
		acts   []act // deaf ones: their values come when they say
		values []int // by attempt
		want   int   // returned
		thrown map[int]time.Duration
	}{
		{"nothing", free(10*ms, 1), []act{{after: 5 * ms}}, []int{11}, 11, nil},
		{"a late success", free(10*ms, 1), []act{{40 * ms, nil, true}, {5 * ms, nil, true}}, []int{11, 12}, 12, map[int]time.Duration{11: 40 * ms}},
		{"two", free(10*ms, 2), []act{{40 * ms, nil, true}, {30 * ms, nil, true}, {5 * ms, nil, true}}, []int{11, 12, 13}, 13, map[int]time.Duration{11: 40 * ms, 12: 40 * ms}},
		{"a zero that was a late success", free(10*ms, 1), []act{{40 * ms, nil, true}, {5 * ms, nil, true}}, []int{0, 12}, 12, map[int]time.Duration{0: 40 * ms}},
		{"a failure before the success", free(10*ms, 1), []act{{5 * ms, errBoom, true}, {5 * ms, nil, true}}, []int{11, 12}, 12, map[int]time.Duration{11: 10 * ms}},
		{"one without a value", free(10*ms, 1), []act{{5 * ms, errBoom, true}, {5 * ms, nil, true}}, []int{0, 12}, 12, nil},
		{"a failure of a hedge", free(10*ms, 1), []act{{30 * ms, nil, true}, {5 * ms, errBoom, true}}, []int{11, 12}, 11, map[int]time.Duration{12: 15 * ms}},
		{"a late failure", free(10*ms, 1), []act{{30 * ms, errBoom, true}, {5 * ms, nil, true}}, []int{11, 12}, 12, map[int]time.Duration{11: 30 * ms}},
		{"a late one without a value", free(10*ms, 1), []act{{30 * ms, errBoom, true}, {5 * ms, nil, true}}, []int{0, 12}, 12, nil},
		{"all fail", free(10*ms, 2), []act{{30 * ms, errBoom, true}, {5 * ms, errBoom, true}, {5 * ms, errBoom, true}}, []int{11, 12, 13}, 11, map[int]time.Duration{12: 15 * ms, 13: 20 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				thrown := map[int]time.Duration{}
				f, s := play(test.acts...)
				v, _ := hedge.DoDiscard(t.Context(), hedge.MustNew(test.config), func(ctx context.Context) (int, error) {
					n, err := f(ctx)
					return test.values[n-1], err
				}, func(v int) {
					mu.Lock()
					defer mu.Unlock()
					if _, twice := thrown[v]; twice {
						t.Errorf("%d was discarded twice", v)
					}
					thrown[v] = time.Since(s.zero)
				})
				time.Sleep(time.Minute)
				synctest.Wait()
				if v != test.want || !maps.Equal(thrown, test.thrown) {
					t.Errorf("got %d, want %d; discarded %v, want %v", v, test.want, thrown, test.thrown)
				}
			})
		})
	}
}

// A value of any type can be dropped; the nil of an interface or a pointer that came with an error need not be.
func TestDiscardOfAnyType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		discards(t, []int(nil), []int{1})
		discards(t, (*int)(nil), new(int))
		discards(t, error(nil), errBoom)
		discards(t, any(nil), any(0))
		discards(t, struct{ f func() }{}, struct{ f func() }{func() {}})
	})
}

// discards makes two calls whose first attempt fails with a value.
func discards[T any](t *testing.T, zero, value T) {
	t.Helper()
	for want, v := range []T{zero, value} {
		n := 0
		_, err := hedge.DoDiscard(t.Context(), hedge.MustNew(free(time.Hour, 1)), func(ctx context.Context) (out T, err error) {
			if hedge.AttemptFrom(ctx) == 1 {
				return v, errBoom
			}
			return out, nil
		}, func(T) { n++ })
		synctest.Wait()
		if n != want || err != nil {
			t.Errorf("%#v: discarded %d times, want %d; %v", v, n, want, err)
		}
	}
}

// discard may panic or end its goroutine: that is logged, or not, and touches nobody: not the caller, not the other values, not a
// race that is still open.
func TestDiscardGoesWrong(t *testing.T) {
	for name, wrong := range map[string]func(){"panic": func() { panic("discard") }, "Goexit": goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				c := free(10*ms, 3)
				c.Name, c.Logger = "search", slog.New(slog.NewTextHandler(&logged, nil))
				var mu sync.Mutex
				n := 0
				f, _ := play(act{40 * ms, nil, true}, act{3 * ms, errBoom, true}, act{30 * ms, nil, true}, act{50 * ms, nil, true})
				v, err := hedge.DoDiscard(t.Context(), hedge.MustNew(c), f, func(int) {
					mu.Lock()
					defer mu.Unlock()
					n++
					wrong()
				})
				time.Sleep(time.Minute)
				synctest.Wait()
				if v != 1 || err != nil || n != 3 {
					t.Errorf("%d, %v; %d were discarded", v, err, n)
				}
				if lines := strings.Count(logged.String(), `msg="discard panicked" policy="hedge search" panic=discard`); name == "panic" && lines != 3 {
					t.Errorf("logged %s", logged.String())
				}
			})
		})
	}
}

// The caller waits neither for losers nor for what is done with their values.
func TestNobodyWaitsForLosers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := play(act{time.Hour, nil, true}, act{5 * ms, nil, true})
		p := hedge.MustNew(free(10*ms, 1))
		slow := func(int) { time.Sleep(time.Hour) }
		if v, err := hedge.DoDiscard(t.Context(), p, f, slow); v != 2 || err != nil || time.Since(s.zero) != 15*ms {
			t.Errorf("%d, %v after %v", v, err, time.Since(s.zero))
		}
		// Nor does who makes the next call.
		f, s = play(act{after: 5 * ms})
		if v, err := hedge.DoDiscard(t.Context(), p, f, slow); v != 1 || err != nil || time.Since(s.zero) != 5*ms {
			t.Errorf("%d, %v after %v", v, err, time.Since(s.zero))
		}
		time.Sleep(3 * time.Hour) // a bubble that ends while a goroutine of its own is left is a failed test
	})
}

// The context of the attempt that won lives on with the caller's: it is not cancelled at the return, and ends with the caller's,
// for its reason. So does that of the first of attempts that all failed, whose value is returned.
func TestWinnerLivesOn(t *testing.T) {
	for name, acts := range map[string][]act{
		"the first":                 {{after: 5 * ms}},
		"the first, beside another": {{after: 20 * ms}, {after: time.Hour}},
		"a hedge":                   {{after: time.Hour}, {after: 5 * ms}},
		"after a failure":           {{5 * ms, errBoom, false}, {after: 5 * ms}},
		"the first of the failed":   {{5 * ms, errBoom, false}, {5 * ms, errBoom, false}},
	} {
		for door, derive := range map[string]func(context.Context) context.Context{
			"as it is": func(ctx context.Context) context.Context { return ctx },
			"waited for": func(ctx context.Context) context.Context {
				_ = ctx.Done()
				return ctx
			},
			"derived": func(ctx context.Context) context.Context {
				inner, cancel := context.WithCancel(ctx)
				go func() {
					<-inner.Done()
					cancel()
				}()
				return inner
			},
		} {
			t.Run(name+", "+door, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					f, _ := play(acts...)
					var mu sync.Mutex
					seen := map[int]context.Context{}
					v, _ := hedge.Do(parent, hedge.MustNew(free(10*ms, 1)), func(ctx context.Context) (int, error) {
						mu.Lock()
						seen[hedge.AttemptFrom(ctx)] = derive(ctx)
						mu.Unlock()
						return f(ctx)
					})
					time.Sleep(time.Minute)
					mu.Lock()
					ctx := seen[v]
					mu.Unlock()
					if ctx.Err() != nil {
						t.Fatalf("after the return: %v, because %v", ctx.Err(), context.Cause(ctx))
					}
					cancel(errBoom)
					synctest.Wait()
					select {
					case <-ctx.Done():
					default:
						t.Error("it does not end with the caller's")
					}
					if ctx.Err() != context.Canceled || context.Cause(ctx) != errBoom {
						t.Errorf("it ended with %v, because %v", ctx.Err(), context.Cause(ctx))
					}
				})
			})
		}
	}
}

// A million calls under one parent that can be cancelled, which is how a server's workers call, leave nothing behind with it.
func TestMillionCallsLeaveNothing(t *testing.T) {
	for name, test := range map[string]struct {
		config hedge.Config
		calls  int
		fn     func(context.Context) error
	}{
		"quiet": {free(time.Hour, 1), fewer(1_000_000, 30_000), func(ctx context.Context) error {
			_ = ctx.Done() // what registers with the parent
			return nil
		}},
		"the second wins": {free(time.Hour, 1), fewer(50_000, 10_000), func(ctx context.Context) error {
			_ = ctx.Done()
			if hedge.AttemptFrom(ctx) == 1 {
				return errBoom
			}
			return nil
		}},
		"all fail": {free(time.Hour, 1), fewer(50_000, 10_000), func(ctx context.Context) error {
			_ = ctx.Done()
			return errBoom
		}},
		"a loser hangs": {free(-1, 1), fewer(50_000, 10_000), func(ctx context.Context) error {
			if hedge.AttemptFrom(ctx) == 1 {
				<-ctx.Done()
			}
			_ = ctx.Done()
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			parent, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := hedge.MustNew(test.config)
			run := func(calls int) {
				for i := range calls {
					_ = p.Run(parent, test.fn)
					letEnd(i)
				}
			}
			run(test.calls / 100) // what is kept for ever is there after these
			heap, goroutines := heapInUse(), runtime.NumGoroutine()
			run(test.calls)
			// The least that one call can leave is a word.
			most := heap + 1<<20 + uint64(test.calls)*4
			for range 50 {
				if heapInUse() < most && runtime.NumGoroutine() <= goroutines {
					return
				}
				runtime.Gosched()
			}
			t.Errorf("%d calls: the heap grew from %d to %d bytes, goroutines from %d to %d",
				test.calls, heap, heapInUse(), goroutines, runtime.NumGoroutine())
			runtime.KeepAlive(parent)
		})
	}
}

// letEnd lets the losers of a hundred calls end, each time that so many were made: on a single processor they come to that in
// the end only, and what the runtime has made for as many goroutines it keeps.
func letEnd(i int) {
	if i%100 != 99 {
		return
	}
	for before := runtime.NumGoroutine(); ; {
		runtime.Gosched()
		now := runtime.NumGoroutine()
		if now >= before { // those that are left do not end, or are asleep
			return
		}
		before = now
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
