package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

//go:noinline
func panicOfFn(value any) { panic(value) }

// wrongs are an fn that goes wrong in the attempt with that number, and returns a success in none.
func wrong(number int, how func()) fn {
	return func(ctx context.Context) (int, error) {
		switch n := hedge.AttemptFrom(ctx); {
		case n == number:
			time.Sleep(5 * ms)
			how()
		case n < number:
			time.Sleep(time.Minute)
		}
		return 0, errBoom
	}
}

// A panic in any attempt reaches the caller, with its value and the stack of fn. It is a failure.
func TestPanic(t *testing.T) {
	value := new(int)
	for number := 1; number <= 3; number++ {
		for door, call := range doors {
			t.Run(fmt.Sprintf("%s, attempt %d", door, number), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := hedge.MustNew(free(10*ms, 2))
					got, _ := ended(func() { call(t.Context(), p, wrong(number, func() { panicOfFn(value) })) })
					panicked, ok := got.(*hedge.PanicError)
					if !ok || panicked.Value != value {
						t.Fatalf("recovered %v", got)
					}
					for _, in := range []string{string(panicked.Stack), panicked.Error()} {
						if !strings.Contains(in, "hedge_test.panicOfFn") {
							t.Errorf("the stack does not show where fn panicked:\n%s", in)
						}
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					if s := p.Snapshot(); s.Calls != 1 || s.Failures != 1 || s.Hedges != uint64(number-1) {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

// doors are all in which fn may go wrong.
var doors = map[string]func(context.Context, *hedge.Policy, fn){
	"Do":        func(ctx context.Context, p *hedge.Policy, f fn) { hedge.Do(ctx, p, f) },
	"DoDiscard": func(ctx context.Context, p *hedge.Policy, f fn) { hedge.DoDiscard(ctx, p, f, func(int) {}) },
	"Wrap": func(ctx context.Context, p *hedge.Policy, f fn) {
		hedge.Wrap(p, func(ctx context.Context, _ int) (int, error) { return f(ctx) })(ctx, 1)
	},
	"Run": func(ctx context.Context, p *hedge.Policy, f fn) {
		p.Run(ctx, func(ctx context.Context) error { _, err := f(ctx); return err })
	},
}

// runtime.Goexit ends the caller's goroutine, as a panic would.
func TestGoexit(t *testing.T) {
	for number := 1; number <= 3; number++ {
		for door, call := range doors {
			synctest.Test(t, func(t *testing.T) {
				p := hedge.MustNew(free(10*ms, 2))
				if value, exited := ended(func() { call(t.Context(), p, wrong(number, runtime.Goexit)) }); !exited {
					t.Errorf("%s, attempt %d: %v", door, number, value)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if s := p.Snapshot(); s.Calls != 1 || s.Failures != 1 || s.Hedges != uint64(number-1) {
					t.Errorf("%s, attempt %d: %+v", door, number, s)
				}
			})
		}
	}
}

// What package http panics with to abort a handler passes as it is; so does the PanicError of a hedge below, with its stack.
func TestPanicThatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(free(10*ms, 1))
		if got := recovered(func() { hedge.Do(t.Context(), p, wrong(1, func() { panic(http.ErrAbortHandler) })) }); got != http.ErrAbortHandler {
			t.Errorf("recovered %v", got)
		}
		got := recovered(func() {
			hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
				return hedge.Do(ctx, p, wrong(1, func() { panicOfFn("inner") }))
			})
		})
		if panicked, ok := got.(*hedge.PanicError); !ok || panicked.Value != "inner" || !strings.Contains(string(panicked.Stack), "panicOfFn") {
			t.Errorf("recovered %v", got)
		}
		got = recovered(func() { hedge.Do(t.Context(), p, wrong(1, func() { panic(errBoom) })) })
		if err, ok := got.(error); !ok || !errors.Is(err, errBoom) {
			t.Errorf("recovered %v: want an error that is the one that fn panicked with", got)
		}
		got = recovered(func() { hedge.Do(t.Context(), p, wrong(1, func() { panic([]int{1}) })) }) // cannot be compared
		if _, ok := got.(*hedge.PanicError); !ok {
			t.Errorf("recovered %v", got)
		}
		got = recovered(func() { hedge.Do(t.Context(), p, wrong(1, func() { panic(nil) })) })
		if err, ok := got.(*hedge.PanicError); !ok || !strings.Contains(err.Error(), "nil") {
			t.Errorf("recovered %v", got)
		}
	})
}

// A panic does not wait for others, and takes a race that a slow success would have won; the losers are told.
func TestPanicIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got := recovered(func() {
			hedge.Do(t.Context(), hedge.MustNew(free(10*ms, 1)), func(ctx context.Context) (int, error) {
				if hedge.AttemptFrom(ctx) == 2 {
					time.Sleep(5 * ms)
					panic("second")
				}
				<-ctx.Done()
				if context.Cause(ctx) != hedge.ErrLost {
					t.Errorf("the loser was told %v", context.Cause(ctx))
				}
				return 1, nil
			})
		})
		if got == nil || time.Since(start) != 15*ms {
			t.Errorf("recovered %v after %v", got, time.Since(start))
		}
		synctest.Wait()
	})
}

// After the end a panic has nobody to reach: it is logged, and the process lives. Goexit is nothing to speak of.
func TestPanicAfterTheEnd(t *testing.T) {
	for name, how := range map[string]func(){"panic": func() { panic("too late") }, "Goexit": runtime.Goexit} {
		for _, end := range []string{"another won", "the caller left", "another panicked"} {
			t.Run(name+", "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log records
					c := free(10*ms, 1)
					c.Name, c.Logger = "search", slog.New(&log)
					p := hedge.MustNew(c)
					ctx, cancel := context.WithTimeout(t.Context(), 20*ms)
					defer cancel()
					_ = recovered(func() {
						hedge.Do(ctx, p, func(ctx context.Context) (int, error) {
							switch {
							case hedge.AttemptFrom(ctx) == 1, end == "the caller left":
								time.Sleep(time.Minute)
								how()
							case end == "another panicked":
								panic("first")
							}
							return 2, nil
						})
					})
					time.Sleep(time.Hour)
					synctest.Wait()
					want := map[string]int{"another won": 1, "the caller left": 2, "another panicked": 1}[end]
					if name == "Goexit" {
						want = 0
					}
					if got := log.texts(); len(got) != want || want > 0 && !strings.HasPrefix(got[0], "an attempt that had lost panicked: hedge search, too late, goroutine ") {
						t.Errorf("logged %q", got)
					}
					if s := p.Snapshot(); s.Successes+s.Failures+s.Ignored != 1 || s.Hedges != 1 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

// records is a slog.Handler that keeps what is logged.
type records struct {
	mu  sync.Mutex
	all []string
}

func (*records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(_ context.Context, record slog.Record) error {
	text := record.Message + ": "
	record.Attrs(func(a slog.Attr) bool {
		text += a.Value.String() + ", "
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, strings.TrimSuffix(text, ", "))
	return nil
}

func (r *records) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r *records) WithGroup(string) slog.Handler      { return r }

func (r *records) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// purse is a Budget of functions.
type purse struct {
	withdraw func() bool
	deposit  func()
}

func (p *purse) Withdraw() bool { return p.withdraw() }
func (p *purse) Deposit()       { p.deposit() }

// A callback that goes wrong reaches the caller whose call it was, once; the next call is as any other.
func TestCallbackGoesWrong(t *testing.T) {
	value := new(int)
	slow := func(context.Context) (int, error) { time.Sleep(30 * ms); return 1, nil }
	for _, test := range []struct {
		name string
		fn   fn
		set  func(*hedge.Config, func())
		bare bool // the panic's value as it is: it was in the caller's own goroutine
	}{
		{"HedgeIf", func(context.Context) (int, error) { return 1, errBoom }, func(c *hedge.Config, wrong func()) {
			c.HedgeIf = func(error) bool { wrong(); return false }
		}, false},
		{"HedgeIf, of a hedge", func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				time.Sleep(time.Minute)
			}
			return 1, errBoom
		}, func(c *hedge.Config, wrong func()) {
			c.MaxHedges = 2
			c.HedgeIf = func(error) bool { wrong(); return true }
		}, false},
		{"Withdraw, at the timer", slow, func(c *hedge.Config, wrong func()) {
			c.Budget = &purse{func() bool { wrong(); return true }, func() {}}
		}, false},
		{"Withdraw, after a failure", func(context.Context) (int, error) { return 1, errBoom }, func(c *hedge.Config, wrong func()) {
			c.Budget = &purse{func() bool { wrong(); return true }, func() {}}
		}, false},
		{"Withdraw, without a delay", slow, func(c *hedge.Config, wrong func()) {
			c.Delay = -1
			c.Budget = &purse{func() bool { wrong(); return true }, func() {}}
		}, false},
		{"Deposit", slow, func(c *hedge.Config, wrong func()) {
			c.Budget = &purse{func() bool { return true }, wrong}
		}, true},
	} {
		for kind, how := range map[string]func(){"panic": func() { panic(value) }, "Goexit": runtime.Goexit} {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := free(10*ms, 1)
					times := 0
					var mu sync.Mutex
					var p *hedge.Policy
					test.set(&c, func() {
						_ = p.Snapshot() // hangs if a lock is held
						mu.Lock()
						times++
						first := times == 1
						mu.Unlock()
						if first {
							how()
						}
					})
					p = hedge.MustNew(c)
					var values books
					got, exited := ended(func() {
						hedge.DoDiscard(t.Context(), p, func(ctx context.Context) (int, error) {
							_, err := test.fn(ctx)
							return values.produce(), err
						}, values.account)
					})
					if err, ok := got.(*hedge.PanicError); ok && !test.bare {
						got = err.Value
					}
					if kind == "panic" && got != value || kind == "Goexit" && !exited {
						t.Errorf("recovered %v, exited %v", got, exited)
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					values.balance(t)
					if s := p.Snapshot(); s.Calls != 1 {
						t.Errorf("%+v", s)
					}
					before := times
					if _, err := hedge.Do(t.Context(), p, test.fn); err != nil && !errors.Is(err, errBoom) || times == before {
						t.Errorf("the next call: %v; the callback was called %d times", err, times-before)
					}
					time.Sleep(time.Hour)
				})
			})
		}
	}
}
