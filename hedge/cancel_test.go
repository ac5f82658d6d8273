package hedge_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

var errCause = errors.New("the caller's own reason")

// ends is a way in which a caller's context ends after a while.
type ends struct {
	name    string
	context func(context.Context, time.Duration) (context.Context, context.CancelFunc)
	err     error // ctx.Err
	cause   error
	timeout bool
}

// cancelAfter cancels from a goroutine of its own.
func cancelAfter(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	if d <= 0 {
		cancel(cause)
		return ctx, func() {}
	}
	go func() {
		select {
		case <-time.After(d):
			cancel(cause)
		case <-stop:
		}
	}()
	return ctx, func() { close(stop) }
}

var everyEnd = []ends{
	{"cancelled", func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		return cancelAfter(ctx, d, nil)
	}, context.Canceled, context.Canceled, false},
	{"cancelled with a cause", func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		return cancelAfter(ctx, d, errCause)
	}, context.Canceled, errCause, false},
	{"deadline", context.WithTimeout, context.DeadlineExceeded, context.DeadlineExceeded, true},
	{"deadline with a cause", func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, d, errCause)
	}, context.DeadlineExceeded, errCause, true},
}

// wantEnd checks the error of a call whose caller's context ended.
func (e *ends) wantEnd(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, e.err) || !errors.Is(err, e.cause) {
		t.Errorf("%s: %v, want both %v and %v", e.name, err, e.err, e.cause)
	}
	if err != nil && err.Error() != text {
		t.Errorf("%s: text %q, want %q", e.name, err, text)
	}
	if timeout, ok := err.(net.Error); !ok || timeout.Timeout() != e.timeout {
		t.Errorf("%s: a timeout is not one, or what is not one is: %#v", e.name, err)
	}
}

// A context that has ended: fn is not called, whatever the door.
func TestContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range everyEnd {
			p := hedge.MustNew(hedge.Config{Name: "search"})
			ctx, cancel := end.context(t.Context(), 0)
			defer cancel()
			called := func(context.Context) (int, error) { t.Errorf("%s: called", end.name); return 1, nil }
			text := "hedge search: " + end.cause.Error()
			v, err := hedge.Do(ctx, p, called)
			end.wantEnd(t, err, text)
			if v != 0 {
				t.Errorf("%s: %d", end.name, v)
			}
			_, err = hedge.DoDiscard(ctx, p, called, func(int) { t.Error("discarded") })
			end.wantEnd(t, err, text)
			_, err = hedge.Wrap(p, func(ctx context.Context, _ int) (int, error) { return called(ctx) })(ctx, 1)
			end.wantEnd(t, err, text)
			err = p.Run(ctx, func(ctx context.Context) error { _, err := called(ctx); return err })
			end.wantEnd(t, err, text)
			if s := p.Snapshot(); s.Calls != 4 || s.Ignored != 4 || s.Hedges != 0 {
				t.Errorf("%s: %+v", end.name, s)
			}
		}
	})
}

// The caller's context ends at any moment of a call: it returns at once, with the cause, and with what has failed before.
func TestContextEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		acts []act
		at   time.Duration
		made int
		text string // after the cause
	}{
		{"while the first runs", []act{{after: time.Hour}}, 5 * ms, 1, ""},
		{"while the first, who is deaf, runs", []act{{time.Hour, nil, true}}, 5 * ms, 1, ""},
		{"between hedges", []act{{after: time.Hour}, {after: time.Hour}}, 15 * ms, 2, ""},
		{"while all run", []act{{after: time.Hour}, {after: time.Hour}, {after: time.Hour}}, 25 * ms, 3, ""},
		{"while all, who are deaf, run", []act{{time.Hour, nil, true}, {time.Hour, nil, true}, {time.Hour, nil, true}}, 25 * ms, 3, ""},
		{"after a failure", []act{{3 * ms, errBoom, false}, {after: time.Hour}}, 5 * ms, 2, ": 1 of 2 attempts failed: boom"},
		{"after two", []act{{3 * ms, errBoom, false}, {time.Hour, nil, true}, {ms, errBoom, false}}, 15 * ms, 3, ": 2 of 3 attempts failed: boom; boom"},
	} {
		for _, end := range everyEnd {
			t.Run(test.name+", "+end.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := free(10*ms, 2)
					c.Name = "search"
					p := hedge.MustNew(c)
					ctx, cancel := end.context(t.Context(), test.at)
					defer cancel()
					var values books
					f, s := play(test.acts...)
					v, err := hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
						_, err := f(ctx)
						if context.Cause(ctx) != nil && context.Cause(ctx) != end.cause {
							t.Errorf("an attempt was cancelled because %v, want %v", context.Cause(ctx), end.cause)
						}
						return values.produce(), err
					}, values.account)
					if v != 0 || time.Since(s.zero) != test.at {
						t.Errorf("%d after %v", v, time.Since(s.zero))
					}
					end.wantEnd(t, err, "hedge search: "+end.cause.Error()+test.text)
					if errors.Is(err, errBoom) != (test.text != "") {
						t.Errorf("%v: what has failed is lost, or made up", err)
					}
					synctest.Wait() // who heeds it is counted
					if got := p.Snapshot(); len(s.all()) != test.made || got.Calls != 1 || got.Ignored != 1 || got.Hedges != uint64(test.made-1) {
						t.Errorf("%d attempts, want %d; %+v", len(s.all()), test.made, got)
					}
					time.Sleep(2 * time.Hour)
					synctest.Wait()
					values.balance(t)
				})
			})
		}
	}
}

// fn that ignores its context cannot hold the caller past the caller's own deadline; nor can a Budget that thinks for long.
func TestDeafHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(10*ms, 2)
		c.Budget = gate(func() bool { time.Sleep(time.Hour); return true })
		for _, c := range []hedge.Config{free(10*ms, 2), free(-1, 10), c} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
			start := time.Now()
			_, err := hedge.Do(ctx, hedge.MustNew(c), func(context.Context) (int, error) { time.Sleep(2 * time.Hour); return 0, errBoom })
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 50*ms {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			time.Sleep(5 * time.Hour)
		}
	})
}

// The end of the context and a success at the same moment: one or the other, and the value is the caller's or discarded.
func TestSuccessAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, heeds := range []bool{false, true} {
			for _, delay := range []time.Duration{time.Hour, 5 * ms} {
				p := hedge.MustNew(free(delay, 2))
				var values books
				for range fewer(1000, 200) {
					ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
					v, err := hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
						if heeds {
							<-ctx.Done()
						} else {
							time.Sleep(10 * ms)
						}
						return values.produce(), nil
					}, values.account)
					cancel()
					if (v == 0) != errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("%d, %v", v, err)
					}
					if v != 0 {
						values.account(v)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				values.balance(t)
				if s := p.Snapshot(); s.Successes+s.Ignored != s.Calls || s.Failures != 0 {
					t.Errorf("%+v", s)
				}
			}
		}
	})
}

// An attempt that does nothing but return a success is done before its caller notices that the context has ended.
func TestSuccessBeforeTheEndIsSeen(t *testing.T) {
	p := hedge.MustNew(free(time.Hour, 1))
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		v, err := hedge.Do(ctx, p, func(context.Context) (int, error) { return 7, nil })
		cancel()
		if v != 7 || err != nil {
			t.Fatalf("%d, %v", v, err)
		}
	}
}

// No attempt starts once the caller's context has ended, though the Budget has just said yes.
func TestNoHedgeForWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int32
		c := free(10*ms, 1)
		c.Budget = gate(func() bool { time.Sleep(10 * ms); return true })
		ctx, cancel := context.WithTimeout(t.Context(), 15*ms)
		defer cancel()
		p := hedge.MustNew(c)
		p.Run(ctx, func(context.Context) error { started.Add(1); time.Sleep(time.Minute); return nil })
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := p.Snapshot(); started.Load() != 1 || s.Hedges != 0 {
			t.Errorf("%d attempts; %+v", started.Load(), s)
		}
	})
}

// A failure at which the caller's context has ended starts no other attempt, and HedgeIf is not asked.
func TestNoHedgeAfterTheEnd(t *testing.T) {
	for range 100 {
		c := free(time.Hour, 1)
		c.HedgeIf = func(error) bool { t.Error("asked"); return true }
		ctx, cancel := context.WithCancelCause(t.Context())
		p := hedge.MustNew(c)
		err := p.Run(ctx, func(context.Context) error { cancel(errCause); return errBoom })
		if s := p.Snapshot(); !errors.Is(err, errCause) || s.Hedges != 0 || s.Ignored != 1 {
			t.Fatalf("%v; %+v", err, s)
		}
	}
}
