package failover_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// reconfigure changes some of a group's settings.
func reconfigure(t testing.TB, g *failover.Group[int], change func(c *failover.Config[int])) {
	t.Helper()
	c := g.Config()
	change(&c)
	if err := g.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
}

// others are settings that differ in whatever has nothing to do with what is kept.
func others(c *failover.Config[int]) {
	c.Balance, c.MaxTries, c.AttemptTimeout, c.Overprovisioning = failover.PeakEWMA, 2, time.Hour, 2
	c.Window, c.MinCalls, c.FailureMargin, c.SlowFactor, c.Suspicion = time.Minute, 7, 0.9, 5, 8
	c.MaxEjected, c.PanicBelow, c.EjectFor, c.MaxEjectFor, c.GoodProbes = 1, -1, time.Hour, 2*time.Hour, 9
}

// Whatever is known of targets stays, to the last number.
func TestReconfigureKeepsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard changes
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(3), Balance: failover.RoundRobin, MaxTries: 1, OnChange: heard.hear})
		held := []failover.Lease[int]{pick(t, g), pick(t, g), pick(t, g)}
		time.Sleep(time.Millisecond)
		for i := range 200 {
			l := pick(t, g)
			time.Sleep(time.Duration(i%5) * time.Millisecond)
			l.Done([]error{nil, nil, nil, errDown}[i%4])
		}
		eject(t, g, 0)
		n := len(heard.all)
		before := g.Snapshot()
		reconfigure(t, g, others)
		if after := g.Snapshot(); fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
			t.Errorf("got  %+v\nwant %+v", after, before)
		}
		if len(heard.all) != n {
			t.Errorf("events: %v", heard.all[n:])
		}
		for _, l := range held {
			l.Done(nil)
		}
		for _, s := range g.Snapshot().Targets {
			if s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
		}
		time.Sleep(before.Targets[0].Until.Sub(before.At) - 1)
		if s := stateOf(g, "t0"); s != failover.Ejected {
			t.Errorf("%v, want the ejection to last as long as it was to", s)
		}
		time.Sleep(time.Nanosecond)
		if s := stateOf(g, "t0"); s != failover.Probing {
			t.Errorf("%v, want the ejection to end when it was to", s)
		}
	})
}

// The next ejection lasts by the new settings, twice as long as a first one.
func TestReconfigureEjectFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), GoodProbes: 1, SlowStart: -1})
		eject(t, g, 0)
		time.Sleep(5 * time.Second)
		pick(t, g).Done(nil)
		if s := targetOf(g, "t0"); s.State != failover.Healthy || s.Ejections != 1 {
			t.Fatalf("%+v", s)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.EjectFor = 20 * time.Second })
		eject(t, g, 0)
		if s := targetOf(g, "t0"); s.Until.Sub(s.Since) != 40*time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// Failures in a row go on; where there were as many as the new limit, the next one ejects.
func TestReconfigureFailuresInARow(t *testing.T) {
	for _, test := range []struct{ before, from, to, more int }{
		{4, 5, 5, 1}, {4, 5, 10, 6}, {4, 5, 3, 1}, {4, 5, 4, 1}, {4, 5, 1, 1}, {9, 20, 2, 1}, {3, -1, 4, 1}, {3, -1, 2, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := failover.MustNew(failover.Config[int]{Targets: targets(2), ConsecutiveFailures: test.from, MaxTries: 1, FailureMargin: -1})
			var held []failover.Lease[int]
			for range 50 { // so that being passed over makes no difference
				held = append(held, pick(t, g))
			}
			for range test.before {
				held[0].Done(errDown)
				held = held[1:]
			}
			reconfigure(t, g, func(c *failover.Config[int]) { c.ConsecutiveFailures = test.to })
			for i := 1; i <= test.more; i++ {
				if s := stateOf(g, "t0"); s != failover.Healthy {
					t.Fatalf("%+v: %v before failure %d", test, s, i)
				}
				held[0].Done(errDown)
				held = held[1:]
			}
			if s := targetOf(g, "t0"); s.State != failover.Ejected {
				t.Errorf("%+v: %+v", test, s)
			}
		})
	}
}

// A trial under way, and a slow start, go on.
func TestReconfigureTrialAndSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Balance: failover.RoundRobin, GoodProbes: 2, SlowStart: 20 * time.Second})
		eject(t, g, 0)
		time.Sleep(5 * time.Second)
		trial := pick(t, g)
		reconfigure(t, g, func(c *failover.Config[int]) { c.MaxTries = 2 })
		if next := pick(t, g); trial.Value != 0 || next.Value != 1 {
			t.Errorf("%v, %v: want one trial at a time", trial, next)
		}
		trial.Done(nil)
		reconfigure(t, g, func(c *failover.Config[int]) { c.MaxTries = 3 })
		pick(t, g).Done(nil)
		if s := targetOf(g, "t0"); s.State != failover.Healthy {
			t.Fatalf("%+v after two good trials", s)
		}
		time.Sleep(5 * time.Second)
		reconfigure(t, g, func(c *failover.Config[int]) { c.MaxTries = 4 })
		if share := shareOf(t, g, 0, 10_000, 0, false); share < 0.15 || share > 0.28 { // a quarter of its turns come to a fifth
			t.Errorf("a share of %.2f after a quarter of the slow start", share)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.SlowStart = -1 })
		if share := shareOf(t, g, 0, 10_000, 0, false); share < 0.49 {
			t.Errorf("a share of %.2f without a slow start", share)
		}
	})
}

// A call that is under way goes on by what it began with, at the present targets; the next one goes by the new settings.
func TestReconfigureWhileCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old, present budget
		old.left, present.left = 10, 10
		g := failover.MustNew(failover.Config[int]{Targets: targets(3), Budget: &old, AttemptTimeout: time.Minute})
		change := func(c *failover.Config[int]) {
			c.MaxTries, c.Budget, c.AttemptTimeout = 1, &present, time.Second
			c.FailoverIf = func(error) bool { t.Error("the new FailoverIf"); return false }
			c.CountIf = func(error) bool { t.Error("the new CountIf"); return false }
			c.Targets = []failover.Target[int]{{Name: "t0"}, {Name: "new", Value: 7}, {Name: "newer", Value: 8}}
		}
		var seen []int
		v, err := failover.Do(t.Context(), g, func(ctx context.Context, i int) (int, error) {
			if seen = append(seen, i); len(seen) == 1 {
				reconfigure(t, g, change)
			}
			if until, ok := ctx.Deadline(); !ok || time.Until(until) != time.Minute {
				t.Errorf("attempt %d has until %v", len(seen), until)
			}
			if len(seen) < 3 {
				return 0, errDown
			}
			return i, nil
		})
		if v != 8 || err != nil || fmt.Sprint(seen) != "[0 7 8]" {
			t.Errorf("%d, %v after %v", v, err, seen)
		}
		if old.left != 8 || old.deposits != 1 || present.left != 10 || present.deposits != 0 {
			t.Errorf("old %+v, new %+v", old, present)
		}
		if s := targetOf(g, "t0"); s.Failures != 1 {
			t.Errorf("%+v, want the failure counted", s)
		}
		reconfigure(t, g, func(c *failover.Config[int]) {
			c.FailoverIf, c.CountIf = nil, func(error) bool { return false }
		})
		calls := 0
		err = g.Run(t.Context(), func(ctx context.Context, _ int) error {
			if until, ok := ctx.Deadline(); !ok || time.Until(until) != time.Second {
				t.Errorf("until %v", until)
			}
			calls++
			return errDown
		})
		if calls != 1 || !errors.Is(err, failover.ErrTries) && !errors.Is(err, errDown) || targetOf(g, "t0").Failures != 1 {
			t.Errorf("%d calls, %v, %+v", calls, err, targetOf(g, "t0"))
		}
	})
}

// So does a Lease.
func TestReconfigureLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old, present budget
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Budget: &old})
		good, bad := pick(t, g), pick(t, g)
		reconfigure(t, g, func(c *failover.Config[int]) {
			c.Budget, c.CountIf = &present, func(error) bool { t.Error("the new CountIf"); return false }
		})
		good.Done(nil)
		bad.Done(errDown)
		if s := targetOf(g, "t0"); old.deposits != 1 || present.deposits != 0 || s.Successes != 1 || s.Failures != 1 || s.InFlight != 0 {
			t.Errorf("%+v, %+v, %+v", old, present, s)
		}
	})
}

// A Transport's requests go by one set of settings, whenever others come.
func TestReconfigureTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(hosts ...string) (ts []failover.Target[*url.URL]) {
			for _, h := range hosts {
				ts = append(ts, failover.Target[*url.URL]{Name: h, Value: &url.URL{Scheme: "http", Host: h}})
			}
			return ts
		}
		var g *failover.Group[*url.URL]
		yes, no := func(*http.Request) bool { return true }, func(*http.Request) bool { return false }
		present := failover.Config[*url.URL]{Targets: at("c", "d"), MaxTries: 2, RepeatRequest: no, KeepHost: true}
		change := func() {
			if err := g.Reconfigure(present); err != nil {
				t.Error(err)
			}
		}
		old := failover.Config[*url.URL]{Targets: at("a", "b"), MaxTries: 2, RepeatRequest: yes}
		withKey := old
		withKey.RequestKey = func(*http.Request) string { change(); return "" }
		for _, test := range []struct {
			name   string
			config failover.Config[*url.URL]
			first  func() // in the first attempt
			want   string
		}{
			{"after the first attempt", old, change, "a/a d/d"}, // its targets are the present ones by then
			{"before it", withKey, func() {}, "a/a d/d"},
		} {
			g = failover.MustNew(test.config)
			var seen []string
			next := roundTrips(func(r *http.Request) (*http.Response, error) {
				host := r.Host
				if host == "" {
					host = r.URL.Host
				}
				if seen = append(seen, r.URL.Host+"/"+host); len(seen) == 1 {
					test.first()
				}
				return nil, errDown
			})
			send := func() string {
				seen = nil
				_, _ = failover.Transport(g, next).RoundTrip(request(t, http.MethodPost, "http://users/", strings.NewReader("x")))
				return strings.Join(seen, " ")
			}
			// The second attempt is at either of the present ones, which have not been tried: the first in their order.
			if got, want := send(), strings.ReplaceAll(test.want, "d/d", "c/c"); got != want {
				t.Errorf("%s: %s, want %s", test.name, got, want)
			}
			test.first = func() {}
			if got := send(); got != "c/users" {
				t.Errorf("%s, after it: %s", test.name, got)
			}
		}
	})
}

// A request that waits for the first lookup gets one of the targets that come with other settings.
func TestReconfigureWaitingTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[*url.URL]{Resolve: func(ctx context.Context) ([]failover.Target[*url.URL], error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}})
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				next := roundTrips(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Host": {r.URL.Host}}, Body: http.NoBody}, nil
				})
				resp, err := failover.Transport(g, next).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
				if err != nil {
					t.Error(err)
				} else if host := resp.Header.Get("Host"); host != "a" {
					t.Error(host)
				}
			})
		}
		synctest.Wait()
		err := g.Reconfigure(failover.Config[*url.URL]{Targets: []failover.Target[*url.URL]{{Name: "a", Value: &url.URL{Scheme: "http", Host: "a"}}}})
		if all.Wait(); err != nil {
			t.Error(err)
		}
	})
}

type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Calls under way count for a Balance that compares targets by them, though they began when nobody did; and the other way.
func TestReconfigureBalanceInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2)})
		take := func(n int) (all []failover.Lease[int]) {
			for range n {
				all = append(all, pick(t, g))
			}
			return all
		}
		done := func(all []failover.Lease[int]) {
			for _, l := range all {
				l.Done(nil)
			}
		}
		first := take(10)
		reconfigure(t, g, func(c *failover.Config[int]) { c.Balance = failover.LeastLoaded })
		second := take(10)
		for _, l := range second {
			if l.Value != 1 {
				t.Errorf("a call goes to %s, where 10 are under way", l.Name)
			}
		}
		done(first)
		reconfigure(t, g, func(c *failover.Config[int]) { c.Balance = failover.Ordered })
		third := take(5)
		done(second)
		if a, b := targetOf(g, "t0").InFlight, targetOf(g, "t1").InFlight; a != 5 || b != 0 {
			t.Errorf("%d and %d in flight", a, b)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.Balance = failover.LeastLoaded })
		for _, l := range take(4) {
			if l.Value != 1 {
				t.Errorf("a call goes to %s, where 5 are under way", l.Name)
			}
			defer l.Done(nil)
		}
		done(third)
		if a := targetOf(g, "t0").InFlight; a != 0 {
			t.Errorf("%d in flight", a)
		}
	})
}

// A cost is kept where nobody goes by it for a while.
func TestReconfigureCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Balance: failover.PeakEWMA})
		for range 20 {
			l := pick(t, g)
			time.Sleep(time.Duration(100-90*l.Value) * time.Millisecond)
			l.Done(nil)
		}
		before := targetOf(g, "t0").Latency
		reconfigure(t, g, func(c *failover.Config[int]) { c.Balance = failover.RoundRobin })
		reconfigure(t, g, func(c *failover.Config[int]) { c.Balance = failover.PeakEWMA })
		if after := targetOf(g, "t0").Latency; after != before || after.Cost == 0 || after.Mean == 0 {
			t.Errorf("%+v, before %+v", after, before)
		}
		for range 10 {
			if l := pick(t, g); l.Value != 1 {
				t.Error("a call goes to the slow one")
			} else {
				l.Done(nil)
			}
		}
	})
}

// What a Window has seen speaks by the new rules.
func TestReconfigureWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(failover.Config[int]{FailureMargin: -1, SlowFactor: -1}, 1, 0.8, 0, 0, 0)
		f.run(t, 100, 20*time.Second)
		if n := len(f.ejected()); n > 0 {
			t.Fatalf("%d ejected", n)
		}
		reconfigure(t, f.g, func(c *failover.Config[int]) { c.FailureMargin, c.Window = 0.3, 40*time.Second })
		before := targetOf(f.g, "t0")
		f.fails[0] = 0
		f.run(t, 10, 9*time.Second)
		if n := len(f.ejected()); n > 0 {
			t.Errorf("judged after %v, which is less than a quarter of the new window", time.Since(before.Since))
		}
		f.run(t, 10, 2*time.Second)
		if found := f.ejected(); len(found) != 1 || !found[0] {
			t.Errorf("%v: want what was seen before to speak", found)
		}
	})
}

// Suspicion goes by what was heard since it was asked for; calls under way from before count.
func TestReconfigureSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), SlowFactor: -1, FailureMargin: -1})
		time.Sleep(time.Hour)
		hung := pick(t, g)
		reconfigure(t, g, func(c *failover.Config[int]) { c.Suspicion, c.EjectFor, c.MaxEjectFor = 3, time.Hour, time.Hour })
		for range 30 {
			l := pick(t, g)
			time.Sleep(10 * time.Millisecond)
			l.Done(nil)
		}
		if l := pick(t, g); l.Value != 0 {
			t.Error("t0 is suspected while it answers")
		} else {
			defer l.Done(nil)
		}
		time.Sleep(20 * time.Millisecond)
		for range 10 { // that calls begin is not that they are answered
			defer pick(t, g).Done(nil)
			time.Sleep(20 * time.Millisecond)
		}
		if l := pick(t, g); l.Value != 1 {
			t.Error("t0 is not suspected though it is silent")
		} else {
			l.Done(nil)
		}
		hung.Done(nil)
	})
}

// Without a SlowFactor nothing is usual: calls that their caller gave up after long do speak against the target, those too that
// began without one.
func TestReconfigureSlowFactor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(failover.Config[int]{}, 1, 0, 0)
		f.takes = func(int) time.Duration { return 10 * time.Millisecond }
		f.run(t, 100, 20*time.Second)
		hang := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			_ = f.g.Run(ctx, func(ctx context.Context, _ int) error { <-ctx.Done(); return context.Cause(ctx) })
		}
		failures := func() uint64 { return targetOf(f.g, "t0").Failures + targetOf(f.g, "t1").Failures }
		reconfigure(t, f.g, func(c *failover.Config[int]) { c.SlowFactor = -1 })
		for range 4 {
			hang(time.Second)
		}
		if n := failures(); n != 4 {
			t.Errorf("%d failures without a SlowFactor, want 4", n)
		}
		var without sync.WaitGroup
		without.Go(func() { hang(30 * time.Second) })
		synctest.Wait()
		reconfigure(t, f.g, func(c *failover.Config[int]) { c.SlowFactor = 3 })
		f.run(t, 100, 20*time.Second)
		without.Wait()
		if n := failures(); n != 5 {
			t.Errorf("%d failures, want that of the call that began without", n)
		}
		hang(time.Millisecond)
		if n := failures(); n != 5 {
			t.Errorf("%d failures, want none of a call that had too little time", n)
		}
	})
}

// Where many wait for their trial, the next one comes by the new EjectFor.
func TestReconfigureManyTrials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(11), Balance: failover.RoundRobin, ConsecutiveFailures: 1, MaxEjected: 1, PanicBelow: -1, MaxTries: 1,
			EjectFor: time.Hour, GoodProbes: 9,
		})
		for range 11 {
			if l := pick(t, g); l.Value < 10 {
				l.Done(errDown)
			}
		}
		time.Sleep(time.Hour)
		trials := func(n int) (trials int) {
			for range n {
				if pick(t, g).Value < 10 {
					trials++
				}
			}
			return trials
		}
		if n := trials(5); n != 1 {
			t.Errorf("%d trials, want one at first", n)
		}
		reconfigure(t, g, func(c *failover.Config[int]) { c.EjectFor = 20 * time.Second })
		if n := trials(5); n != 1 {
			t.Errorf("%d trials, want one more", n)
		}
		time.Sleep(2 * time.Second)
		if n := trials(5); n != 1 {
			t.Errorf("%d trials, want one more", n)
		}
	})
}

// A Config that cannot work is refused with all that is wrong, and nothing has changed.
func TestReconfigureFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(2), MaxTries: 2})
		eject(t, g, 0)
		config, before := fmt.Sprintf("%+v", stripped(g.Config())), g.Snapshot()
		wantFaults(t, g.Reconfigure(failover.Config[int]{
			Targets: []failover.Target[int]{{Name: "a"}, {Name: "a", Weight: -1}}, Balance: 9, MaxTries: -1, Window: 1, EjectFor: -1, ProbeInterval: 1,
		}),
			`failover.Config.Targets[1].Name: "a": want another name than that of Targets[0]`,
			"failover.Config.Targets[1].Weight: -1: want above zero (0 is 1)",
			"failover.Config.Balance: 9: want Ordered, RoundRobin, LeastLoaded or PeakEWMA",
			"failover.Config.MaxTries: -1: want at least 1 (default 3)",
			"failover.Config.Window: 1ns: want from 4ms to 10m (default 10s)",
			"failover.Config.EjectFor: -1ns: want above zero (default 5s)",
			"failover.Config.Probe: <nil>: want a function, as ProbeInterval is set",
		)
		wantFaults(t, g.Reconfigure(failover.Config[int]{}), "failover.Config.Targets: 0: want at least one target, or a Resolve that finds them")
		if after := g.Snapshot(); fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
			t.Errorf("got  %+v\nwant %+v", after, before)
		}
		if got := fmt.Sprintf("%+v", stripped(g.Config())); got != config {
			t.Errorf("got  %s\nwant %s", got, config)
		}
	})
}

// stripped is a Config without what cannot be compared in print.
func stripped(c failover.Config[int]) failover.Config[int] {
	c.FailoverIf, c.CountIf = nil, nil
	return c
}

// A nil group and a closed one have no settings to change.
func TestReconfigureNilAndClosed(t *testing.T) {
	var none *failover.Group[int]
	if err := none.Reconfigure(failover.Config[int]{Targets: targets(1)}); err == nil || err.Error() != "failover: a nil group has no settings" {
		t.Error(err)
	}
	g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(1)})
	g.Close()
	if err := g.Reconfigure(failover.Config[int]{Targets: targets(2), MaxTries: 9}); err == nil || err.Error() != "failover users: it is closed" {
		t.Error(err)
	}
	if c := g.Config(); len(c.Targets) != 1 || c.MaxTries != 3 {
		t.Errorf("%+v", c)
	}
}

// Config has the present settings and targets, whoever set them, and is one that can be given back: that changes nothing.
func TestConfigOfThePresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, nil))
		ts := targets(3)
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: ts, Logger: logger})
		ts[0].Name = "changed by its owner"
		reconfigure(t, g, func(c *failover.Config[int]) {
			c.Name, c.Logger, c.MaxTries = "other", nil, 7
		})
		if err := g.Update([]failover.Target[int]{{Name: "b", Value: 1, Priority: 1, Weight: 3}, {Name: "a"}}); err != nil {
			t.Fatal(err)
		}
		c := g.Config()
		want := []failover.Target[int]{{Name: "a", Weight: 1}, {Name: "b", Value: 1, Priority: 1, Weight: 3}}
		if !slices.Equal(c.Targets, want) || c.Name != "users" || c.Logger != logger || c.MaxTries != 7 || c.EjectFor != 5*time.Second {
			t.Errorf("%+v", c)
		}
		eject(t, g, 0)
		if !strings.Contains(log.String(), "users") {
			t.Errorf("the log says %q", log.String())
		}
		for name, c := range map[string]failover.Config[int]{
			"plain": {Targets: targets(2)},
			"probe": {Targets: targets(2), Probe: good},
			"none":  {Targets: targets(2), ConsecutiveFailures: -1, FailureMargin: -1, SlowFactor: -1, SlowStart: -1, PanicBelow: -1},
			"resolve": {Resolve: func(context.Context) ([]failover.Target[int], error) {
				return targets(3), nil
			}},
		} {
			g := failover.MustNew(c)
			call(t, g)
			before := g.Config()
			reconfigure(t, g, func(*failover.Config[int]) {})
			if after := g.Config(); !slices.Equal(after.Targets, before.Targets) || len(after.Targets) < 2 || fmt.Sprint(asJSON(t, after)) != fmt.Sprint(asJSON(t, before)) {
				t.Errorf("%s: got %+v\nwant %+v", name, after, before)
			}
			g.Close()
		}
	})
}

func asJSON(t *testing.T, c failover.Config[int]) string {
	t.Helper()
	text, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
