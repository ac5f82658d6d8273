package failover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// Calls of all kinds, while others change settings and targets over and over: the books are right, and nothing is left behind.
func TestReconfigureUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(5), Name: "users"})
		var calls, changes sync.WaitGroup
		var attempts, made atomic.Uint64
		for i := range 64 {
			calls.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for range 200 {
					made.Add(1)
					aCall(t, g, r, &attempts)
					time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
				}
			})
		}
		stop := make(chan struct{})
		for i := range 6 {
			changes.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 8))
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(r.IntN(5000)) * time.Microsecond):
					}
					var err error
					if i == 0 {
						err = g.Update(targets(1 + r.IntN(7)))
					} else {
						err = g.Reconfigure(anyConfig(r))
					}
					if err != nil {
						t.Error(err)
					}
					_, _ = g.Snapshot(), g.Config()
				}
			})
		}
		calls.Wait()
		close(stop)
		changes.Wait()
		g.Close()
		if err := g.Update(targets(7)); err != nil {
			t.Error(err)
		}
		s := g.Snapshot()
		settled(t, s)
		if s.Calls != made.Load() || s.Name != "users" {
			t.Errorf("%d calls: %+v", made.Load(), s)
		}
	})
}

// anyConfig is a Config that works.
func anyConfig(r *rand.Rand) failover.Config[int] {
	c := failover.Config[int]{
		Targets: targets(1 + r.IntN(7)), Balance: balances[r.IntN(4)], MaxTries: r.IntN(4),
		ConsecutiveFailures: r.IntN(6) - 1, Window: time.Duration(r.IntN(2)) * time.Second, MinCalls: r.IntN(5),
		FailureMargin: []float64{-1, 0, 0.1}[r.IntN(3)], SlowFactor: []float64{-1, 0, 1.5}[r.IntN(3)],
		Suspicion: []float64{0, 3}[r.IntN(2)], MaxEjected: []float64{0, 1}[r.IntN(2)], PanicBelow: []float64{-1, 0, 1}[r.IntN(3)],
		EjectFor: time.Duration(r.IntN(50)) * time.Millisecond, MaxEjectFor: time.Duration(r.IntN(2)) * time.Second,
		GoodProbes: r.IntN(3), SlowStart: []time.Duration{-1, 0, 30 * time.Millisecond}[r.IntN(3)],
	}
	if r.IntN(2) == 0 {
		c.AttemptTimeout = 5 * time.Millisecond
	}
	if r.IntN(2) == 0 {
		c.Probe, c.ProbeInterval = func(context.Context, int) error {
			time.Sleep(3 * time.Millisecond)
			return nil
		}, 20*time.Millisecond
	}
	if r.IntN(2) == 0 {
		c.Resolve, c.ResolveEvery = func(ctx context.Context) ([]failover.Target[int], error) {
			time.Sleep(2 * time.Millisecond)
			return targets(3), nil
		}, 10*time.Millisecond
	}
	return c
}

// errFrom is from a target of settings with that number.
type errFrom int

func (e errFrom) Error() string { return fmt.Sprint("from ", int(e)) }

// numbered are settings all of whose parts have one number.
func numbered(t *testing.T, n int) failover.Config[int] {
	same := func(err error) bool {
		var from errFrom
		if errors.As(err, &from) && int(from) != n {
			t.Errorf("a call at a target of settings %d is judged by those of %d", from, n)
		}
		return false
	}
	return failover.Config[int]{
		Targets: []failover.Target[int]{{Name: "a", Value: n}, {Name: "b", Value: n}}, FailoverIf: same, CountIf: same,
		Balance: balances[n%4], AttemptTimeout: time.Duration(n+1) * time.Hour, MaxTries: 1,
	}
}

// No call sees the targets of one Config and the settings of another.
func TestReconfigureInOneStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(numbered(t, 0))
		whileReconfigured(t, func(n int) error { return g.Reconfigure(numbered(t, n)) }, func(i int) {
			if i%2 == 0 {
				if l, err := g.Pick(t.Context()); err != nil {
					t.Error(err)
				} else {
					l.Done(errFrom(l.Value))
				}
				return
			}
			_ = g.Run(t.Context(), func(ctx context.Context, n int) error {
				if until, ok := ctx.Deadline(); !ok || time.Until(until) != time.Duration(n+1)*time.Hour {
					t.Errorf("a call at a target of settings %d has a deadline in %v", n, time.Until(until))
				}
				return errFrom(n)
			})
		})
	})
}

// Nor does a request, which asks its settings before it has a target.
func TestReconfigureTransportInOneStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := func(n int) failover.Config[*url.URL] {
			return failover.Config[*url.URL]{
				Targets:    []failover.Target[*url.URL]{{Name: "a", Value: &url.URL{Scheme: "http", Host: fmt.Sprint(n)}}},
				RequestKey: func(r *http.Request) string { r.Body.(*note).n = n; return "" },
			}
		}
		g := failover.MustNew(config(0))
		client := failover.Transport(g, roundTrips(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Host": {r.URL.Host}}, Body: http.NoBody}, nil
		}))
		whileReconfigured(t, func(n int) error { return g.Reconfigure(config(n)) }, func(int) {
			seen := &note{Reader: strings.NewReader("x")}
			resp, err := client.RoundTrip(request(t, http.MethodPost, "http://users/", seen))
			if err != nil {
				t.Error(err)
				return
			}
			if host := resp.Header.Get("Host"); host != fmt.Sprint(seen.n) {
				t.Errorf("the RequestKey of settings %d, and a target of %s", seen.n, host)
			}
			_ = resp.Body.Close()
		})
	})
}

// note is a body that has the number of the settings that were asked.
type note struct {
	io.Reader
	n int
}

func (*note) Close() error { return nil }

// whileReconfigured makes calls in 64 goroutines until there have been a few hundred others settings.
func whileReconfigured(t *testing.T, reconfigure func(n int) error, call func(i int)) {
	t.Helper()
	const changes = 400
	var all sync.WaitGroup
	var n atomic.Int64
	for i := range 64 {
		all.Go(func() {
			for n.Load() < changes {
				call(i)
			}
		})
	}
	for range 3 {
		all.Go(func() {
			for k := n.Add(1); k <= changes; k = n.Add(1) {
				if err := reconfigure(int(k)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
