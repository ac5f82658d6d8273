package hedge_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// secondAt makes a call whose first attempt hangs, and returns when the second started: the delay as callers see it.
func secondAt(t *testing.T, p *hedge.Policy) time.Duration {
	t.Helper()
	f, s := play(act{after: time.Hour}, act{after: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	_ = p.Run(ctx, func(ctx context.Context) error { _, err := f(ctx); return err })
	synctest.Wait()
	if at := s.all(); len(at) == 2 {
		return at[1]
	}
	return -1
}

// near reports whether got is a quantile that really is want: the buckets round up, by no more than 1/32.
func near(got, want time.Duration) bool { return got >= want && got <= want+want/32 }

func TestFixedDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, delay := range []time.Duration{1, ms, time.Minute} {
			p := hedge.MustNew(free(delay, 1))
			calls(t, p, 0, 300, constant(10*ms)) // is not learned from
			if got := secondAt(t, p); got != delay || p.Snapshot().Delay != delay || p.Snapshot().P50 != 0 {
				t.Errorf("%v, want %v; %+v", got, delay, p.Snapshot())
			}
		}
		p := hedge.MustNew(free(-time.Hour, 1))
		if got := secondAt(t, p); got != 0 || p.Snapshot().Delay != 0 {
			t.Errorf("negative: %v; %+v", got, p.Snapshot())
		}
	})
}

// The delay is FirstDelay until enough calls were seen, then the quantile of what they took, and not below MinDelay.
func TestLearnedDelay(t *testing.T) {
	to100 := func(i int, _ *rand.Rand) time.Duration { return time.Duration(1+i*37%100) * ms } // 1 to 100 ms, each once in 100
	for name, test := range map[string]struct {
		config hedge.Config
		enough int
		first  time.Duration
		want   time.Duration
	}{
		"all defaults":                     {hedge.Config{}, 40, 100 * ms, 95 * ms},
		"FirstDelay":                       {hedge.Config{FirstDelay: time.Second}, 40, time.Second, 95 * ms},
		"Quantile":                         {hedge.Config{Quantile: 0.9}, 21, 100 * ms, 90 * ms},
		"a low Quantile that would cost":   {hedge.Config{Quantile: 0.5}, 21, 100 * ms, 90 * ms},
		"a low Quantile that may cost":     {hedge.Config{Quantile: 0.5, MaxExtraLoad: 0.4}, 5, 100 * ms, 60 * ms},
		"one that may cost what it wants":  {hedge.Config{Quantile: 0.5, MaxExtraLoad: -1}, 5, 100 * ms, 50 * ms},
		"a high Quantile takes 200 calls":  {hedge.Config{Quantile: 0.999}, 200, 100 * ms, 100 * ms},
		"little extra load, high quantile": {hedge.Config{MaxExtraLoad: 0.01}, 200, 100 * ms, 99 * ms},
		"MinDelay":                         {hedge.Config{MinDelay: 200 * ms}, 40, 100 * ms, 200 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := test.config
				c.FirstDelay = max(c.FirstDelay, test.first)
				p := hedge.MustNew(c)
				calls(t, p, 0, test.enough-1, constant(10*ms))
				if got := p.Snapshot().Delay; got != test.first {
					t.Errorf("after %d calls: %v, want FirstDelay, %v", test.enough-1, got, test.first)
				}
				calls(t, p, 0, 1, constant(10*ms))
				if got := p.Snapshot(); got.Delay == test.first || got.P50 == 0 {
					t.Errorf("after %d calls it has not learned: %+v", test.enough, got)
				}
				time.Sleep(time.Minute) // all of that is forgotten
				calls(t, p, 0, 400, to100)
				s := p.Snapshot()
				if !near(s.Delay, test.want) {
					t.Errorf("delay %v, want %v", s.Delay, test.want)
				}
				if got := secondAt(t, p); got > s.Delay || got < s.Delay*99/100 { // a stretch shrinks
					t.Errorf("the second attempt at %v, delay %v", got, s.Delay)
				}
				if !near(s.P50, 50*ms) || !near(s.P95, 95*ms) || !near(s.P99, 99*ms) {
					t.Errorf("%v, %v, %v", s.P50, s.P95, s.P99)
				}
			})
		})
	}
}

// The delay goes with the latency, up and down, within Memory.
func TestDelayFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Memory: 10 * time.Second})
		n := 0
		for _, latency := range []time.Duration{10 * ms, 80 * ms, 3 * ms, 3 * ms, 200 * ms} {
			for end := time.Now().Add(11 * time.Second); time.Now().Before(end); n += 100 {
				calls(t, p, n, n+100, constant(latency))
			}
			if s := p.Snapshot(); !near(s.P50, latency) || !near(s.Delay, latency) {
				t.Errorf("calls take %v: delay %v, median %v", latency, s.Delay, s.P50)
			}
		}
	})
}

// What is learned from: all first attempts that succeed, and those that were cut short by a hedge that won or by the caller's
// deadline, as long as they lasted. Not those that failed or panicked, nor those whose caller cancelled.
func TestWhatIsLearned(t *testing.T) {
	cutShort := func(ctx context.Context) (int, error) {
		if hedge.AttemptFrom(ctx) == 1 {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		time.Sleep(50 * ms)
		return 2, nil
	}
	hangs := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	for name, test := range map[string]struct {
		fn   fn
		ends time.Duration // of the caller's context, by its deadline or, if negative, by cancel
		want time.Duration // 0: nothing
	}{
		"success":              {func(context.Context) (int, error) { time.Sleep(70 * ms); return 1, nil }, 0, 70 * ms},
		"cut short by a hedge": {cutShort, 0, 150 * ms},
		"the first wins late": {func(ctx context.Context) (int, error) {
			if time.Sleep(120 * ms); hedge.AttemptFrom(ctx) > 1 {
				<-ctx.Done()
			}
			return 1, nil
		}, 0, 120 * ms},
		"the caller's deadline": {hangs, 300 * ms, 300 * ms},
		"the caller cancelled":  {hangs, -300 * ms, 0},
		"failure": {func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				return 0, errBoom
			}
			return 1, nil
		}, 0, 0},
		"all fail": {func(context.Context) (int, error) { return 0, errBoom }, 0, 0},
		"panic":    {func(context.Context) (int, error) { panic("x") }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := hedge.MustNew(hedge.Config{MaxExtraLoad: -1})
				for range 39 { // one short of enough; after it the delay would be another
					ctx, cancel := context.WithCancel(t.Context())
					switch {
					case test.ends > 0:
						ctx, cancel = context.WithTimeout(t.Context(), test.ends)
					case test.ends < 0:
						time.AfterFunc(-test.ends, cancel)
					}
					_ = recovered(func() { _, _ = hedge.Do(ctx, p, test.fn) })
					cancel()
				}
				calls(t, p, 0, 1, constant(time.Nanosecond))
				s := p.Snapshot()
				time.Sleep(time.Second) // losers end
				if test.want == 0 && s.P95 != 0 || test.want != 0 && !near(s.P50, test.want) {
					t.Errorf("learned %v, want %v", s.P50, test.want)
				}
			})
		})
	}
}

// A hedge that cannot be expected to finish before the deadline is not made; neither is one after a failure.
func TestNoHedgeBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			left   time.Duration // before the deadline, when it would start
			starts int
		}{{21 * ms, 2}, {19 * ms, 1}, {ms, 1}, {-ms, 1}} {
			for _, first := range []act{{after: time.Hour}, {after: 30 * ms, err: errBoom}} {
				p := hedge.MustNew(hedge.Config{MinDelay: 30 * ms, MaxExtraLoad: -1})
				calls(t, p, 0, 100, constant(20*ms))
				ctx, cancel := context.WithTimeout(t.Context(), 30*ms+test.left)
				f, s := play(first, act{after: 20 * ms})
				v, err := hedge.Do(ctx, p, f)
				cancel()
				synctest.Wait()
				if n := len(s.all()); n != test.starts || (v == 2 && err == nil) != (n == 2) {
					t.Errorf("%v before the deadline: %d attempts, %d, %v", test.left, n, v, err)
				}
				if denied := p.Snapshot().Denied["deadline"]; test.left > 0 && denied != uint64(2-test.starts) {
					t.Errorf("%v before the deadline: %d denied", test.left, denied)
				}
			}
		}
	})
}

// Each of several hedges has its own delay, and the delay is the one at the start of the call.
func TestDelaysOfOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxHedges: 3, MinDelay: 15 * ms, MaxExtraLoad: -1})
		calls(t, p, 0, 100, constant(10*ms))
		f, s := play(act{after: 100 * ms}, act{after: 100 * ms}, act{after: 100 * ms}, act{after: 100 * ms})
		if v, err := hedge.Do(t.Context(), p, f); v != 1 || err != nil || !slices.Equal(s.all(), every(15*ms, 4)) {
			t.Errorf("%d, %v: attempts at %v", v, err, s.all())
		}
	})
}
