package failover_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
)

// What a review found: where calls went that had better gone elsewhere.

// Where only requests go that cannot be repeated, an ejected target comes back all the same.
func TestOnlyPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, to := true, map[string]int{}
		next := stubbed(func(r *http.Request) (*http.Response, error) {
			_ = r.Body.Close()
			to[r.URL.Host]++
			if down && r.URL.Host == "a" {
				return nil, errDown
			}
			return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		})
		g := failover.MustNew(failover.Config[*url.URL]{Balance: failover.RoundRobin, Targets: []failover.Target[*url.URL]{
			{Name: "a", Value: &url.URL{Scheme: "http", Host: "a"}}, {Name: "b", Value: &url.URL{Scheme: "http", Host: "b"}},
		}})
		transport := failover.Transport(g, next)
		post := func(n int) {
			for range n {
				time.Sleep(100 * time.Millisecond)
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/", strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := transport.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
			}
		}
		post(20)
		down = false
		post(300) // half a minute: the ejection, as long again for a call that could be repeated, and the slow start
		clear(to)
		post(100)
		if to["a"] < 40 {
			t.Errorf("requests went to %v", to)
		}
	})
}

type stubbed func(*http.Request) (*http.Response, error)

func (s stubbed) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// Three of four targets are down, and no more than half may be ejected: the third is passed over all the same.
func TestPassesOverWhatCannotBeEjected(t *testing.T) {
	for _, balance := range balances {
		synctest.Test(t, func(t *testing.T) {
			g := failover.MustNew(failover.Config[int]{Targets: targets(4), Balance: balance})
			lost := 0
			for i := range 3000 {
				time.Sleep(100 * time.Millisecond)
				lease, err := g.Pick(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				err = nil
				if lease.Value < 3 {
					err = errDown
					if i >= 1000 {
						lost++
					}
				}
				lease.Done(err)
			}
			if lost > 100 { // trials of two, and a look at the third each five seconds
				t.Errorf("%v: %d of 2000 lost", balance, lost)
			}
			s := g.Snapshot()
			if out := countState(s, failover.Healthy); out != 2 {
				t.Errorf("%v: %d are healthy, want 2: no more than half may be ejected", balance, out)
			}
		})
	}
}

func countState(s failover.Snapshot, is failover.State) (n int) {
	for _, x := range s.Targets {
		if x.State == is {
			n++
		}
	}
	return n
}

// Several calls of one attempt of a hedge are not driven apart: it is other attempts that go elsewhere.
func TestCallsOfOneAttempt(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: targets(3)})
	h := hedge.MustNew(hedge.Config{Delay: time.Hour})
	for _, ctx := range []context.Context{t.Context(), failover.WithKey(t.Context(), "k")} {
		var went []int
		if _, err := hedge.Do(ctx, h, func(ctx context.Context) (int, error) {
			for range 5 {
				if _, err := failover.Do(ctx, g, func(_ context.Context, i int) (int, error) {
					went = append(went, i)
					return i, nil
				}); err != nil {
					return 0, err
				}
			}
			return 0, nil
		}); err != nil {
			t.Error(err)
		}
		if len(slices.Compact(slices.Clone(went))) != 1 {
			t.Errorf("went to %v", went)
		}
	}
}

// A primary that is alone on its level gets its share again slowly too, and one that hangs is passed over too.
func TestAloneOnItsLevel(t *testing.T) {
	alone := func() []failover.Target[int] {
		ts := targets(2)
		ts[1].Priority = 1
		return ts
	}
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: alone()})
		var s service
		s.down[0] = true
		do := func(n int) {
			for range n {
				_, _ = failover.Do(t.Context(), g, s.do)
			}
		}
		do(10)
		s.down[0] = false
		time.Sleep(5 * time.Second)
		do(3)
		time.Sleep(time.Millisecond)
		last := 0
		for step := range 4 {
			before := s.calls[0]
			do(1000)
			share := s.calls[0] - before
			if step == 0 && share > 300 || share < last-60 || step == 3 && share < 990 {
				t.Errorf("step %d: %d of 1000 calls, %d before", step, share, last)
			}
			last = share
			time.Sleep(3 * time.Second)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: alone(), Suspicion: 8})
		hang, hangs := make(chan struct{}), false
		var calls [2]atomic.Int64
		fn := func(_ context.Context, i int) (int, error) {
			calls[i].Add(1)
			if i == 0 && hangs {
				<-hang
			}
			time.Sleep(time.Millisecond)
			return i, nil
		}
		for range 100 {
			_, _ = failover.Do(t.Context(), g, fn)
		}
		hangs = true
		calls[0].Store(0)
		for range 100 {
			go func() { _, _ = failover.Do(t.Context(), g, fn) }()
			time.Sleep(10 * time.Millisecond)
		}
		if n := calls[0].Load(); n > 20 {
			t.Errorf("%d calls into the hang", n)
		}
		close(hang)
		time.Sleep(time.Minute)
	})
}

// A call that never ends, or a Lease that was dropped, does not make its target suspect for ever.
func TestSuspicionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Suspicion: 8})
		var calls [2]int
		do := func(n int, every time.Duration) {
			for range n {
				time.Sleep(every)
				_, _ = failover.Do(t.Context(), g, func(_ context.Context, i int) (int, error) {
					calls[i]++
					time.Sleep(time.Millisecond)
					return i, nil
				})
			}
		}
		do(20, 0)
		if _, err := g.Pick(t.Context()); err != nil { // dropped
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		calls = [2]int{}
		do(600, time.Second)
		if calls[0] < 60 {
			t.Errorf("calls went to %v", calls)
		}
	})
}

// A call with a key, whose target is well, is no trial of another.
func TestKeysAreNoTrials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3)})
		which := func(_ context.Context, i int) (int, error) { return i, nil }
		key := ""
		for i := range 100 {
			key = fmt.Sprint(i)
			if v, _ := failover.Do(failover.WithKey(t.Context(), key), g, which); v == 2 {
				break
			}
		}
		var s service
		s.down[0] = true
		for range 5 {
			_, _ = failover.Do(t.Context(), g, s.do)
		}
		time.Sleep(5 * time.Second)
		for range 3 {
			if v, err := failover.Do(failover.WithKey(t.Context(), key), g, which); v != 2 || err != nil {
				t.Errorf("it went to %d, %v", v, err)
			}
		}
	})
}

// Where the ejections of many end together, calls do not begin with one dead target after the other.
func TestTrialsOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(100), Balance: failover.RoundRobin})
		fn := func(_ context.Context, i int) (int, error) {
			if i < 40 {
				return 0, errDown
			}
			return i, nil
		}
		for range 2000 {
			_, _ = failover.Do(t.Context(), g, fn)
		}
		time.Sleep(2 * time.Minute)
		before := g.Snapshot().Failovers
		for range 1000 {
			time.Sleep(time.Millisecond)
			_, _ = failover.Do(t.Context(), g, fn)
		}
		if n := g.Snapshot().Failovers - before; n == 0 || n > 30 {
			t.Errorf("%d of 1000 calls in a second began at a dead target; there are 40 whose trials take five seconds", n)
		}
	})
}

// Callers with next to no time do not eject a target that has had none.
func TestCallersWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2)})
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
			_, err := failover.Do(ctx, g, func(ctx context.Context, i int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if s := g.Snapshot(); s.Targets[0].State != failover.Healthy || s.Failures != 10 {
			t.Errorf("%+v", s)
		}
	})
}

// A cost of two days ago says nothing.
func TestCostsAreForgotten(t *testing.T) {
	for _, idle := range []time.Duration{time.Hour, 45 * time.Hour, 60 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			g := failover.MustNew(failover.Config[int]{Targets: targets(2), Balance: failover.PeakEWMA})
			bad, calls := true, [2]int{}
			fn := func(_ context.Context, i int) (int, error) {
				calls[i]++
				if bad && i == 1 {
					time.Sleep(10 * time.Second)
					return 0, errDown
				}
				time.Sleep(time.Millisecond)
				return i, nil
			}
			for calls[1] == 0 {
				_, _ = failover.Do(t.Context(), g, fn)
			}
			bad = false
			time.Sleep(idle)
			calls = [2]int{}
			for range 600 {
				time.Sleep(time.Second)
				_, _ = failover.Do(t.Context(), g, fn)
			}
			if calls[1] < 100 {
				t.Errorf("after %v: calls went to %v", idle, calls)
			}
		})
	}
}

// What a call among a thousand dead targets says is short.
func TestLeftOutInShort(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: targets(1000), MaxEjected: 1, PanicBelow: -1, Balance: failover.RoundRobin, MaxTries: 1, EjectFor: time.Hour, MaxEjectFor: time.Hour})
	for range 5000 {
		_, _ = failover.Do(t.Context(), g, func(context.Context, int) (int, error) { return 0, errDown })
	}
	_, err := g.Pick(t.Context())
	var none *failover.NoTargetError
	if !errors.As(err, &none) || len(none.LeftOut) != 10 || none.More != 990 || len(err.Error()) > 1000 || !strings.HasSuffix(err.Error(), "; and 990 more") {
		t.Errorf("%d bytes: %.200s", len(err.Error()), err)
	}
}
