package hedge_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// A nil policy lets calls pass, in every door: once, in the caller's goroutine, with its own context.
func TestNilPolicy(t *testing.T) {
	var p *hedge.Policy
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 1))
	cancel() // it is fn's affair
	ran := 0
	f := func(got context.Context) (int, error) {
		if ran++; got != ctx || hedge.AttemptFrom(got) != 1 {
			t.Error("it has another context")
		}
		return 7, errBoom
	}
	if v, err := hedge.Do(ctx, p, f); v != 7 || err != errBoom {
		t.Errorf("Do: %d, %v", v, err)
	}
	if v, err := hedge.DoDiscard(ctx, p, f, func(int) { t.Error("discarded") }); v != 7 || err != errBoom {
		t.Errorf("DoDiscard: %d, %v", v, err)
	}
	wrapped := hedge.Wrap(p, func(ctx context.Context, in int) (int, error) {
		_, err := f(ctx)
		return in, err
	})
	if v, err := wrapped(ctx, 8); v != 8 || err != errBoom {
		t.Errorf("Wrap: %d, %v", v, err)
	}
	if err := p.Run(ctx, func(ctx context.Context) error { _, err := f(ctx); return err }); err != errBoom {
		t.Errorf("Run: %v", err)
	}
	if ran != 4 {
		t.Errorf("fn ran %d times", ran)
	}
	if got := recovered(func() { hedge.Do(ctx, p, func(context.Context) (int, error) { panic("as it is") }) }); got != "as it is" {
		t.Errorf("recovered %v", got)
	}
	if s := p.Snapshot(); s.Calls != 0 || p.Snapshot().HedgeShare() != 0 || p.Snapshot().WinShare() != 0 {
		t.Errorf("%+v", s)
	}
}

// A nil fn is an error, in every door, with a policy and without; Wrap panics, for it is called at the start of a program.
func TestNilFunc(t *testing.T) {
	for _, p := range []*hedge.Policy{nil, hedge.MustNew(hedge.Config{Name: "search"})} {
		want := "hedge search: fn is nil"
		if p == nil {
			want = "hedge: fn is nil"
		}
		if v, err := hedge.Do[int](t.Context(), p, nil); v != 0 || err == nil || err.Error() != want {
			t.Errorf("Do: %d, %v", v, err)
		}
		if v, err := hedge.DoDiscard[int](t.Context(), p, nil, nil); v != 0 || err == nil || err.Error() != want {
			t.Errorf("DoDiscard: %d, %v", v, err)
		}
		if err := p.Run(t.Context(), nil); err == nil || err.Error() != want {
			t.Errorf("Run: %v", err)
		}
		if got, _ := recovered(func() { hedge.Wrap[int, int](p, nil) }).(string); !strings.Contains(got, "fn is nil") {
			t.Errorf("Wrap: %q", got)
		}
		if s := p.Snapshot(); s.Calls != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// Wrap calls fn with its input, each attempt with the same.
func TestWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(free(10*ms, 1))
		upper := hedge.Wrap(p, func(ctx context.Context, in string) (string, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				<-ctx.Done()
			}
			return strings.ToUpper(in), nil
		})
		for _, in := range []string{"one", "two"} {
			if out, err := upper(t.Context(), in); out != strings.ToUpper(in) || err != nil {
				t.Errorf("%s: %q, %v", in, out, err)
			}
		}
		if s := p.Snapshot(); s.Wins != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Run is Do without a value.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(free(10*ms, 1))
		start := time.Now()
		err := p.Run(t.Context(), func(ctx context.Context) error {
			if hedge.AttemptFrom(ctx) == 1 {
				<-ctx.Done()
			}
			return nil
		})
		if err != nil || time.Since(start) != 10*ms {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// fn sees the caller's context: its values and its deadline; and which attempt it is.
func TestContextOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "mine"), time.Hour)
		defer cancel()
		limit, _ := ctx.Deadline()
		var numbers []int
		hedge.MustNew(free(time.Minute, 2)).Run(ctx, func(ctx context.Context) error {
			if d, ok := ctx.Deadline(); ctx.Value(key{}) != "mine" || !ok || d != limit {
				t.Errorf("value %v, deadline %v", ctx.Value(key{}), d)
			}
			numbers = append(numbers, hedge.AttemptFrom(ctx))
			return errBoom
		})
		if !slices.Equal(numbers, []int{1, 2, 3}) || hedge.AttemptFrom(ctx) != 1 {
			t.Errorf("attempts %v; outside %d", numbers, hedge.AttemptFrom(ctx))
		}
	})
}

// The numbers of a policy: of calls by their end, of hedges, and of those that were not made.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := free(10*ms, 2)
		c.Name = "search"
		left := 7
		c.Budget = gate(func() bool { left--; return left >= 0 })
		p := hedge.MustNew(c)
		run := func(d time.Duration, acts ...act) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			f, _ := play(acts...)
			hedge.Do(ctx, p, f)
			synctest.Wait()
		}
		hour := act{after: time.Hour}
		run(time.Minute, act{})                                                   // at once
		run(time.Minute, act{after: 15 * ms}, hour)                               // one hedge lost
		run(time.Minute, hour, hour, act{})                                       // two, of which the second won
		run(time.Minute, act{err: errBoom}, act{after: ms})                       // one, that won
		run(time.Minute, act{err: errBoom}, act{err: errBoom}, act{err: errBoom}) // two, all fail
		run(15*ms, hour, hour)                                                    // one; the caller leaves
		run(15*ms, hour, hour)                                                    // none: the Budget is empty
		_ = recovered(func() { p.Run(t.Context(), func(context.Context) error { panic("x") }) })
		s := p.Snapshot()
		s.Denied = map[string]uint64{"budget": s.Denied["budget"], "load": s.Denied["load"], "deadline": s.Denied["deadline"]}
		if !s.At.Equal(time.Now()) {
			t.Errorf("at %v, it is %v", s.At, time.Now())
		}
		s.At = time.Time{}
		want := `{"name":"search","calls":8,"successes":4,"failures":2,"ignored":2,"hedges":7,"wins":2,"denied":{"budget":1,"deadline":0,"load":0},"delay":"10ms","p50":"15.204351ms","p95":"20.447231ms","p99":"20.447231ms"}` // learned, and used for deadlines
		if data, err := json.Marshal(s); string(data) != want || err != nil {
			t.Errorf("got %s, %v\nwant %s", data, err, want)
		}
		if s.HedgeShare() != 7./8 || s.WinShare() != 2./7 || s.Delay != 10*ms {
			t.Errorf("hedge share %v, win share %v, delay %v", s.HedgeShare(), s.WinShare(), s.Delay)
		}
		if fresh := hedge.MustNew(free(ms, 1)).Snapshot(); fresh.HedgeShare() != 0 || fresh.WinShare() != 0 || len(fresh.Denied) != 3 {
			t.Errorf("%+v", fresh)
		}
	})
}

// A policy under another counts attempts as calls, and errors.Is reaches through both.
func TestHedgeInAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := hedge.MustNew(free(10*ms, 1)), hedge.MustNew(free(30*ms, 1))
		var values books
		v, err := hedge.DoDiscard(t.Context(), outer, func(ctx context.Context) (int, error) {
			return hedge.DoDiscard(ctx, inner, func(ctx context.Context) (int, error) {
				select {
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				case <-time.After(35 * ms):
				}
				return values.produce(), nil
			}, values.account)
		}, values.account)
		values.account(v)
		synctest.Wait()
		values.balance(t)
		if err != nil {
			t.Error(err)
		}
		if o, i := outer.Snapshot(), inner.Snapshot(); o.Calls != 1 || i.Calls != 2 || i.Successes != 1 || i.Ignored != 1 || i.Failures != 0 {
			t.Errorf("outer %+v, inner %+v", o, i)
		}
		err = outer.Run(t.Context(), func(ctx context.Context) error { return inner.Run(ctx, fails) })
		if !errors.Is(err, errBoom) {
			t.Error(err)
		}
	})
}
