package failover_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// A thousand goroutines call while targets come and go: no call gets a target that was never there, none is lost, and the
// books are right at the end.
func TestUpdateUnderLoad(t *testing.T) {
	for _, balance := range balances {
		t.Run(balance.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard changes
				g := failover.MustNew(failover.Config[int]{
					Targets: targets(8), Balance: balance, OnChange: heard.hear, Suspicion: 8, EjectFor: 10 * time.Millisecond, GoodProbes: 1,
					Probe: func(context.Context, int) error { return nil }, ProbeInterval: 5 * time.Millisecond,
				})
				const goroutines, each = 1000, 30
				var all sync.WaitGroup
				var wrong, failed atomic.Int64
				for n := range goroutines {
					all.Go(func() {
						r := rand.New(rand.NewPCG(uint64(n), 7))
						for k := range each {
							ctx := background
							if k%3 == 0 {
								ctx = failover.WithKey(ctx, fmt.Sprint(n))
							}
							bad := r.IntN(10) == 0
							_, err := failover.Do(ctx, g, func(_ context.Context, i int) (int, error) {
								if i < 0 || i >= 16 {
									wrong.Add(1)
								}
								time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
								if bad {
									bad = false
									return 0, errDown
								}
								return i, nil
							})
							if err != nil {
								failed.Add(1)
							}
						}
					})
				}
				stop := make(chan struct{})
				var updates sync.WaitGroup
				updates.Go(func() {
					r := rand.New(rand.NewPCG(1, 7))
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
						ts := targets(16)
						r.Shuffle(len(ts), func(i, j int) { ts[i], ts[j] = ts[j], ts[i] })
						ts = ts[:2+r.IntN(14)]
						for i := range ts {
							ts[i].Priority, ts[i].Weight = r.IntN(3), float64(r.IntN(4))
						}
						if err := g.Update(ts); err != nil {
							t.Error(err)
						}
						_ = g.Snapshot()
					}
				})
				all.Wait()
				close(stop)
				updates.Wait()
				g.Close()
				s := g.Snapshot()
				if wrong.Load() > 0 || failed.Load() > 0 || s.Calls != goroutines*each || s.Successes != s.Calls {
					t.Errorf("%d wrong targets, %d failed: %+v", wrong.Load(), failed.Load(), s)
				}
				for _, x := range s.Targets {
					if x.InFlight != 0 {
						t.Errorf("%+v", x)
					}
				}
			})
		})
	}
}

// What is known of a target stays with its name; its value, level and weight are new.
func TestUpdateKeepsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3)})
		held, err := g.Pick(background)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		eject(t, g, 0)
		before := targetOf(g, "t0")
		time.Sleep(time.Second)
		if err := g.Update([]failover.Target[int]{{Name: "t0", Value: 7, Priority: 2, Weight: 3}, {Name: "new", Value: 8}}); err != nil {
			t.Fatal(err)
		}
		after := targetOf(g, "t0")
		before.Priority, before.Weight = 2, 3
		if after != before || after.State != failover.Ejected || after.InFlight != 1 {
			t.Errorf("%+v, want %+v", after, before)
		}
		if s := targetOf(g, "new"); s.State != failover.Healthy || !s.Since.Equal(time.Now()) {
			t.Errorf("%+v", s)
		}
		held.Done(nil)
		if s := targetOf(g, "t0"); s.InFlight != 0 || g.Snapshot().Late != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(5 * time.Second)
		if v, err := whichOf(t.Context(), g); v != 8 || err != nil {
			t.Errorf("%d, %v: want no trial of a level that gets no calls", v, err)
		}
		if err := g.Update([]failover.Target[int]{{Name: "t0", Value: 9}, {Name: "new", Value: 8}}); err != nil {
			t.Fatal(err)
		}
		if v, err := whichOf(t.Context(), g); v != 9 || err != nil {
			t.Errorf("%d, %v: want a trial of the new value", v, err)
		}
	})
}

// Results of targets that are gone do nothing: no event, no ejection of one that has the name now.
func TestRemovedTargetsSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard changes
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), ConsecutiveFailures: 2, OnChange: heard.hear, GoodProbes: 1})
		var held []failover.Lease[int]
		for range 10 {
			l, _ := g.Pick(background)
			held = append(held, l)
		}
		if err := g.Update(targets(2)[1:]); err != nil {
			t.Fatal(err)
		}
		held[0].Done(errDown)
		held[1].Done(errDown)
		held[2].Done(errDown)
		if err := g.Update(targets(2)); err != nil { // the name is back, and means another
			t.Fatal(err)
		}
		for _, l := range held[3:] {
			l.Done(errDown)
		}
		if s := targetOf(g, "t0"); s.State != failover.Healthy || s.Failures != 0 || s.InFlight != 0 || len(heard.all) > 0 {
			t.Errorf("%+v, %v", s, heard.all)
		}
		eject(t, g, 0)
		time.Sleep(6 * time.Second)
		trial, _ := g.Pick(background)
		if err := g.Update(targets(2)[1:]); err != nil {
			t.Fatal(err)
		}
		n := len(heard.all)
		trial.Done(nil)
		if trial.Value != 0 || len(heard.all) != n {
			t.Errorf("%v", heard.all[n:])
		}
	})
}

// An Update that cannot work says all that is wrong, and changes nothing.
func TestUpdateFaults(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: targets(2)})
	before := g.Snapshot()
	wantFaults(t, g.Update(nil), "failover.Update.Targets: 0: want at least one target")
	wantFaults(t, g.Update([]failover.Target[int]{{Name: "a", Weight: -1}, {Name: "a"}, {Name: "b"}, {Priority: -1}}),
		"failover.Update.Targets[0].Weight: -1: want above zero (0 is 1)",
		`failover.Update.Targets[1].Name: "a": want another name than that of Targets[0]`,
		`failover.Update.Targets[3].Name: "": want a name`,
		"failover.Update.Targets[3].Priority: -1: want 0 or more",
	)
	after := g.Snapshot()
	before.At, after.At = time.Time{}, time.Time{}
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("%+v\n%+v", before, after)
	}
	var none *failover.Group[int]
	if err := none.Update(nil); err != nil {
		t.Error(err)
	}
}

// Events come in order, one at a time, under no lock: OnChange may ask the group anything, and call by it.
func TestEventsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *failover.Group[int]
		var heard changes
		is := map[string]failover.State{}
		inside := false
		g = failover.MustNew(failover.Config[int]{
			Name: "users", Targets: targets(4), Balance: failover.RoundRobin, ConsecutiveFailures: 1, MaxEjected: 1, GoodProbes: 1, EjectFor: 10 * time.Millisecond,
			OnChange: func(e failover.Event) {
				if inside {
					t.Error("two at a time")
				}
				inside = true
				if e.Name != "users" || e.From == e.To || e.From != is[e.Target] || e.To == failover.Ejected && (e.Why == "" || !e.Until.After(e.At)) {
					t.Errorf("%+v after %v", e, is[e.Target])
				}
				is[e.Target] = e.To
				heard.hear(e)
				_ = g.Snapshot()
				_ = g.Run(background, func(context.Context, int) error { return nil })
				if e.Target == "t3" {
					_ = g.Update(targets(4))
				}
				inside = false
			},
		})
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(n), 3))
				for range 50 {
					_ = g.Run(background, func(context.Context, int) error {
						time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
						if r.IntN(5) == 0 {
							return errDown
						}
						return nil
					})
				}
			})
		}
		all.Wait()
		if len(heard.all) < 50 {
			t.Errorf("%d events", len(heard.all))
		}
		for i := range heard.all[1:] {
			if heard.all[i+1].At.Before(heard.all[i].At) {
				t.Errorf("%v, then %v", heard.all[i], heard.all[i+1])
			}
		}
		s := g.Snapshot()
		for _, x := range s.Targets {
			if x.State != is[x.Name] || x.InFlight != 0 {
				t.Errorf("%+v, and the events say %v", x, is[x.Name])
			}
		}
	})
}

// OnChange's panic reaches the call that has brought the change about; the state is sound after it.
func TestOnChangePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard changes
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(2), ConsecutiveFailures: 1, GoodProbes: 2, MaxTries: 1,
			OnChange: func(e failover.Event) { heard.hear(e); panic(e.To.String()) },
		})
		down := true
		call := func() (got any) {
			defer func() { got = recover() }()
			return g.Run(t.Context(), func(_ context.Context, i int) error {
				if down && i == 0 {
					return errDown
				}
				return nil
			})
		}
		if got := call(); got != "ejected" {
			t.Errorf("recovered %v", got)
		}
		if got := call(); got != nil {
			t.Errorf("recovered %v", got)
		}
		time.Sleep(5 * time.Second)
		if got := call(); got != "probing" { // it panics before fn is called
			t.Errorf("recovered %v", got)
		}
		if got := call(); got != "ejected" { // and this is the trial
			t.Errorf("recovered %v", got)
		}
		time.Sleep(10 * time.Second)
		down = false
		var all []any
		for range 4 {
			all = append(all, call())
		}
		if want := "[probing <nil> healthy <nil>]"; fmt.Sprint(all) != want {
			t.Errorf("%v, want %v", all, want)
		}
		s := g.Snapshot()
		if s.Targets[0].State != failover.Healthy || s.Targets[0].InFlight != 0 || s.Targets[1].InFlight != 0 || s.Calls != 8 {
			t.Errorf("%+v", s)
		}
		var states []string
		for _, e := range heard.all {
			states = append(states, e.To.String())
		}
		if got := strings.Join(states, " "); got != "ejected probing ejected probing healthy" {
			t.Error(got)
		}
	})
}

// Where nothing may be used, each target says why.
func TestWhyEachIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(2), ConsecutiveFailures: 1, MaxEjected: 1, PanicBelow: -1, MaxTries: 1})
		fail := func(context.Context, int) error { return errDown }
		for range 2 {
			_ = g.Run(t.Context(), fail)
			time.Sleep(time.Second)
		}
		err := g.Run(t.Context(), fail)
		var none *failover.NoTargetError
		if !errors.Is(err, failover.ErrNoTarget) || !errors.As(err, &none) || none.RetryAfter() != 3*time.Second || !none.Refused() {
			t.Fatalf("%v", err)
		}
		const want = "failover users: no target: t0: ejected for another 3s, 1 failures in a row; t1: ejected for another 4s, 1 failures in a row"
		if err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		time.Sleep(4 * time.Second)
		trial, err := g.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second, err := g.Pick(t.Context())
		if err != nil || second.Name == trial.Name {
			t.Errorf("%v, %v", second, err)
		}
		if _, err := g.Pick(t.Context()); err == nil || !strings.Contains(err.Error(), "t0: probing") {
			t.Error(err)
		}
	})
}
