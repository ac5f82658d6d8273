package deadline_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
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

// Two causes, as a policy would have them.
var (
	errLost, errOther = errors.New("another attempt was faster"), errors.New("other")
	lost, other       = deadline.NewCause(errLost), deadline.NewCause(errOther)
)

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
	asLost := state{context.Canceled, errLost, false}
	asOther := state{context.Canceled, errOther, false}
	byParent := state{context.Canceled, boom, false}
	// l: wait for a limit (1 s), p: cancel the parent, r: Release, c: Cancel, x and y: CancelCause.
	rows := []struct {
		script    string
		want      state
		unlimited state // what is seen without a limit
	}{
		{"", alive, alive},
		{"l", atLimit, alive},
		{"p", byParent, byParent},
		{"r", alive, alive},
		{"rl", alive, alive},
		{"rp", byParent, byParent},
		{"rlp", byParent, byParent},
		{"rr", alive, alive},
		{"c", cancelled, cancelled},
		{"cl", cancelled, cancelled},
		{"cp", cancelled, cancelled},
		{"cr", cancelled, cancelled},
		{"crp", cancelled, cancelled},
		{"rc", alive, alive}, // Cancel may be deferred
		{"rcp", byParent, byParent},
		{"pr", byParent, byParent},
		{"pc", byParent, byParent},
		{"pl", byParent, byParent},
		{"prl", byParent, byParent},
		{"le", atLimit, alive},
		{"lep", atLimit, byParent}, // e: somebody looked at Err, so the limit was first
		{"ler", atLimit, alive},
		{"lerp", atLimit, byParent},
		{"lc", atLimit, cancelled}, // Cancel looks too
		{"lcp", atLimit, cancelled},
		{"x", asLost, asLost},
		{"xl", asLost, asLost},
		{"xp", asLost, asLost}, // the parent's cause comes too late
		{"xr", asLost, asLost},
		{"xrp", asLost, asLost},
		{"xc", asLost, asLost},
		{"cx", cancelled, cancelled},
		{"xy", asLost, asLost},
		{"yx", asOther, asOther},
		{"rx", alive, alive},
		{"rxp", byParent, byParent},
		{"px", byParent, byParent}, // the parent ended first, though nobody looked
		{"prx", byParent, byParent},
		{"lx", atLimit, asLost}, // CancelCause looks too
		{"lxp", atLimit, asLost},
		{"ex", asLost, asLost},
	}
	run := func(t *testing.T, script string, want state, early, limited bool) {
		parent, cancel := context.WithCancelCause(t.Context())
		var limit time.Time
		if limited {
			limit = time.Now().Add(time.Second)
		}
		ctx := deadline.New(parent, limit)
		var done <-chan struct{}
		if early {
			done = ctx.Done()
		}
		for _, op := range script {
			switch op {
			case 'l':
				time.Sleep(time.Second)
			case 'p':
				cancel(boom)
			case 'r':
				ctx.Release()
			case 'c':
				ctx.Cancel()
			case 'x':
				ctx.CancelCause(lost)
			case 'y':
				ctx.CancelCause(other)
			case 'e':
				_ = ctx.Err()
			}
		}
		if got := (state{ctx.Err(), context.Cause(ctx), ctx.Expired()}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		ended := want.err != nil
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
		if err := ctx.Err(); err == nil || ended && (err != want.err || context.Cause(ctx) != want.cause) {
			t.Errorf("in the end: %v, cause %v", err, context.Cause(ctx))
		}
	}
	for _, row := range rows {
		for _, early := range []bool{true, false} {
			for _, limited := range []bool{true, false} {
				want := row.want
				if !limited {
					want = row.unlimited
				}
				t.Run(fmt.Sprintf("%s/early=%v/limited=%v", row.script, early, limited), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { run(t, row.script, want, early, limited) })
				})
			}
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
		limit          time.Duration // zero: none
		want, released time.Duration // zero: none
	}{
		{parent, time.Minute, time.Minute, time.Hour},
		{parent, 2 * time.Hour, time.Hour, time.Hour},
		{t.Context(), time.Minute, time.Minute, 0},
		{parent, 0, time.Hour, time.Hour},
		{t.Context(), 0, 0, 0},
	} {
		for _, ask := range []bool{true, false} {
			var limit time.Time
			if c.limit > 0 {
				limit = now.Add(c.limit)
			}
			ctx := deadline.New(c.parent, limit)
			if ask {
				ctx.Done()
			}
			if d, ok := ctx.Deadline(); ok != (c.want > 0) || ok && d.Sub(now) != c.want {
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

type valueKey struct{}

// TestCauseStaysWithTheEnd: the parent's later end has a cause, but not for what ended at its limit.
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
	if s := fmt.Sprint(ctx); !strings.Contains(s, ".WithLimit(2") {
		t.Error(s)
	}
	if s := fmt.Sprint(deadline.New(parent, time.Time{})); !strings.HasSuffix(s, ".WithLimit(none)") {
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
		unlimited := deadline.New(context.Background(), time.Time{})
		if isDone(unlimited) {
			t.Error("it ended by itself")
		}
		unlimited.CancelCause(lost)
		if !isDone(unlimited) || context.Cause(unlimited) != errLost {
			t.Error(context.Cause(unlimited))
		}
	})
}

// TestTheLimitBelowOneThatIsReleased is not the business of that one's, which was to come first.
func TestTheLimitBelowOneThatIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		above := deadline.New(t.Context(), time.Now().Add(time.Second))
		ctx := deadline.New(context.WithValue(above, t, t), time.Now().Add(time.Minute))
		done := ctx.Done()
		above.Release()
		select {
		case <-done:
		case <-time.After(time.Hour):
			t.Error("the limit is over")
		}
	})
}

// plain is a context that has no String.
type plain struct {
	context.Context
	n int
}

// TestStringOfAForeignParent: it must not read its fields.
func TestStringOfAForeignParent(t *testing.T) {
	p := &plain{Context: t.Context()}
	ctx := deadline.New(p, time.Time{})
	go func() { p.n++ }()
	_ = fmt.Sprint(ctx)
}
