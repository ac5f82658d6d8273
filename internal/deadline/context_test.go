package deadline_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// isDone asks for Done.
func isDone(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// TestScripts runs through the lives of a context, each with Done asked for at the start and only at the end: what is
// seen must be the same.
func TestScripts(t *testing.T) {
	boom := errors.New("boom")
	type state struct {
		err, cause error
		expired    bool
	}
	alive := state{}
	atLimit := state{context.DeadlineExceeded, context.DeadlineExceeded, true}
	cancelled := state{context.Canceled, context.Canceled, false}
	byParent := state{context.Canceled, boom, false}
	// l: wait for a limit (1 s), p: cancel the parent, r: Release, c: Cancel.
	rows := []struct {
		script string
		want   state
	}{
		{"", alive},
		{"l", atLimit},
		{"p", byParent},
		{"r", alive},
		{"rl", alive},
		{"rp", byParent},
		{"rlp", byParent},
		{"rr", alive},
		{"c", cancelled},
		{"cl", cancelled},
		{"cp", cancelled},
		{"cr", cancelled},
		{"crp", cancelled},
		{"rc", alive}, // Cancel may be deferred
		{"rcp", byParent},
		{"pr", byParent},
		{"pc", byParent},
		{"pl", byParent},
		{"prl", byParent},
		{"le", atLimit},
		{"lep", atLimit}, // e: somebody looked at Err, so the limit was first
		{"ler", atLimit},
		{"lerp", atLimit},
		{"lc", atLimit}, // Cancel looks too
		{"lcp", atLimit},
	}
	for _, row := range rows {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/early=%v", row.script, early), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancelCause(t.Context())
					ctx := deadline.New(parent, time.Now().Add(time.Second))
					var done <-chan struct{}
					if early {
						done = ctx.Done()
					}
					for _, op := range row.script {
						switch op {
						case 'l':
							time.Sleep(time.Second)
						case 'p':
							cancel(boom)
						case 'r':
							ctx.Release()
						case 'c':
							ctx.Cancel()
						case 'e':
							_ = ctx.Err()
						}
					}
					if got := (state{ctx.Err(), context.Cause(ctx), ctx.Expired()}); got != row.want {
						t.Errorf("got %v, want %v", got, row.want)
					}
					ended := row.want.err != nil
					if isDone(ctx) != ended {
						t.Errorf("Done is closed: %v", !ended)
					}
					if early {
						select {
						case <-done:
						default:
							if ended {
								t.Error("the channel of the start is open")
							}
						}
					}
					cancel(nil)
					ctx.Cancel()
					if err := ctx.Err(); err == nil || ended && err != row.want.err {
						t.Errorf("in the end: %v", err)
					}
				})
			})
		}
	}
}

func TestEndsAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx := deadline.New(t.Context(), start.Add(time.Second))
		<-ctx.Done()
		if d := time.Since(start); d != time.Second {
			t.Errorf("it ended after %v", d)
		}
	})
}

func TestEndedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("cause")
		cancel(cause)
		past := time.Now()
		for i, c := range []struct {
			ctx     *deadline.Context
			err     error
			cause   error
			expired bool
		}{
			{deadline.New(t.Context(), past), context.DeadlineExceeded, context.DeadlineExceeded, true},
			{deadline.New(ended, past.Add(time.Hour)), context.Canceled, cause, false},
			{deadline.New(ended, past), context.Canceled, cause, false}, // the caller who is gone comes first
		} {
			if i%2 == 0 && !isDone(c.ctx) {
				t.Errorf("%d: Done is open", i)
			}
			if c.ctx.Err() != c.err || context.Cause(c.ctx) != c.cause || c.ctx.Expired() != c.expired || !isDone(c.ctx) {
				t.Errorf("%d: %v, %v, %v", i, c.ctx.Err(), context.Cause(c.ctx), c.ctx.Expired())
			}
		}
	})
}

func TestDeadline(t *testing.T) {
	now := time.Now()
	parent, cancel := context.WithDeadline(t.Context(), now.Add(time.Hour))
	defer cancel()
	for _, c := range []struct {
		parent         context.Context
		limit          time.Duration
		want, released time.Duration
	}{
		{parent, time.Minute, time.Minute, time.Hour},
		{parent, 2 * time.Hour, time.Hour, time.Hour},
		{t.Context(), time.Minute, time.Minute, 0},
	} {
		for _, ask := range []bool{true, false} {
			ctx := deadline.New(c.parent, now.Add(c.limit))
			if ask {
				ctx.Done()
			}
			if d, ok := ctx.Deadline(); !ok || d.Sub(now) != c.want {
				t.Errorf("limit %v: %v, %v", c.limit, d.Sub(now), ok)
			}
			ctx.Release()
			if d, ok := ctx.Deadline(); ok != (c.released > 0) || ok && d.Sub(now) != c.released {
				t.Errorf("limit %v, released: %v, %v", c.limit, d.Sub(now), ok)
			}
		}
	}
}

// TestParentsDeadlineIsTheEarlier: then it is not ours that ended it.
func TestParentsDeadlineIsTheEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ctx := deadline.New(parent, time.Now().Add(2*time.Second))
		start := time.Now()
		<-ctx.Done()
		if d := time.Since(start); d != time.Second || ctx.Err() != context.DeadlineExceeded || ctx.Expired() {
			t.Errorf("after %v: %v, expired %v", d, ctx.Err(), ctx.Expired())
		}
	})
}

// TestCauseStaysWithTheEnd: the parent's later end has a cause, but not for what ended at its limit.
type valueKey struct{}

func TestCauseStaysWithTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(t.Context())
		ctx := deadline.New(parent, time.Now().Add(time.Second))
		child, stop := context.WithCancel(context.WithValue(ctx, valueKey{}, "v"))
		defer stop()
		time.Sleep(time.Second)
		synctest.Wait()
		cancel(errors.New("later"))
		for _, c := range []context.Context{ctx, child} {
			if context.Cause(c) != context.DeadlineExceeded {
				t.Error(context.Cause(c))
			}
		}
	})
}

func TestValueAndString(t *testing.T) {
	type key struct{}
	parent := context.WithValue(t.Context(), key{}, "value")
	ctx := deadline.New(parent, time.Now().Add(time.Hour))
	if ctx.Value(key{}) != "value" || ctx.Value("other") != nil {
		t.Error(ctx.Value(key{}), ctx.Value("other"))
	}
	ctx.Cancel()
	if ctx.Value(key{}) != "value" {
		t.Error("after the end the values are gone")
	}
	if s := fmt.Sprint(ctx); len(s) < len(".WithLimit") {
		t.Error(s)
	}
}

func TestNilParent(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	//lint:ignore SA1012 it is what is tested
	deadline.New(nil, time.Now())
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	limit := time.Now().Add(time.Hour)
	for name, end := range map[string]func(*deadline.Context){
		"Release": (*deadline.Context).Release,
		"Cancel":  (*deadline.Context).Cancel,
		"Err":     func(c *deadline.Context) { _ = c.Err() },
	} {
		if n := testing.AllocsPerRun(1000, func() { end(deadline.New(t.Context(), limit)) }); n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestParentThatNeverEnds has nothing to register with; the limit works all the same.
func TestParentThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := deadline.New(context.Background(), time.Now().Add(time.Second))
		ctx.Done()
		time.Sleep(time.Second)
		if !isDone(ctx) {
			t.Error("no limit")
		}
		free := deadline.New(context.Background(), time.Now().Add(time.Second))
		done := free.Done()
		free.Release()
		runtime.GC()
		time.Sleep(time.Hour)
		if free.Err() != nil || free.Done() != done {
			t.Error("it ended after Release, or has another channel")
		}
	})
}
