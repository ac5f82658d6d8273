package failover_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/failover"
)

func pick(t testing.TB, g *failover.Group[int]) failover.Lease[int] {
	t.Helper()
	l, err := g.Pick(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The first Done counts; others, of copies too, do nothing, not even to the lease that came after.
func TestDoneTwice(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: targets(1), ConsecutiveFailures: -1})
	first := pick(t, g)
	again := first
	if first.Name != "t0" || first.Value != 0 {
		t.Errorf("%+v", first)
	}
	first.Done(nil)
	for range 10 {
		next := pick(t, g)
		first.Done(errDown)
		again.Done(errDown)
		if s := g.Snapshot(); s.Targets[0].InFlight != 1 || s.Failures != 0 {
			t.Fatalf("%+v", s)
		}
		next.Done(nil)
	}
	failover.Lease[int]{}.Done(nil)
	failover.Lease[int]{Name: "t0"}.Done(errDown)
	settled(t, g.Snapshot())
	if s := g.Snapshot(); s.Calls != 11 || s.Successes != 11 {
		t.Errorf("%+v", s)
	}
}

// Of many at once one counts.
func TestDoneAtOnce(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: targets(2), Balance: failover.RoundRobin})
	var all sync.WaitGroup
	for range 1000 {
		l := pick(t, g)
		for range 4 {
			all.Go(func() { l.Done(nil) })
		}
	}
	all.Wait()
	s := g.Snapshot()
	settled(t, s)
	if s.Calls != 1000 || s.Targets[0].Successes != 500 || s.Targets[1].Successes != 500 {
		t.Errorf("%+v", s)
	}
}

func TestLeaseResults(t *testing.T) {
	for name, row := range map[string]struct {
		err                          error
		successes, failures, ignored uint64
		against                      uint64
	}{
		"well":         {nil, 1, 0, 0, 0},
		"failed":       {errDown, 0, 1, 0, 1},
		"timeout":      {context.DeadlineExceeded, 0, 1, 0, 1},
		"cancelled":    {context.Canceled, 0, 0, 1, 0},
		"refused":      {turnedAway{}, 0, 1, 0, 0},
		"not about it": {backoff.Permanent(errDown), 0, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, balance := range balances {
				g := failover.MustNew(failover.Config[int]{Targets: targets(1), Balance: balance, Suspicion: 8})
				pick(t, g).Done(row.err)
				s := g.Snapshot()
				settled(t, s)
				if s.Successes != row.successes || s.Failures != row.failures || s.Ignored != row.ignored || s.Calls != 1 || s.Targets[0].Failures != row.against {
					t.Errorf("%v: %+v", balance, s)
				}
			}
		})
	}
}

func TestPickWithAContextThatIsDone(t *testing.T) {
	own := errors.New("own")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(own)
	g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(1)})
	l, err := g.Pick(ctx)
	if !errors.Is(err, own) || !errors.Is(err, context.Canceled) || err.Error() != "failover users: own" || l.Name != "" {
		t.Error(l, err)
	}
	l.Done(nil)
	s := g.Snapshot()
	settled(t, s)
	if s.Ignored != 1 || s.Calls != 1 {
		t.Errorf("%+v", s)
	}
}

// Callbacks that panic in Done reach its caller, and the lease is given back.
func TestDonePanics(t *testing.T) {
	boom := func() { panic("boom") }
	for name, row := range map[string]struct {
		config failover.Config[int]
		err    error
	}{
		"CountIf":   {failover.Config[int]{CountIf: func(error) bool { boom(); return true }}, errDown},
		"OnChange":  {failover.Config[int]{OnChange: func(failover.Event) { boom() }, ConsecutiveFailures: 1}, errDown},
		"Deposit":   {failover.Config[int]{Budget: calls{deposit: boom}}, nil},
		"the error": {failover.Config[int]{}, bomb{boom}},
	} {
		t.Run(name, func(t *testing.T) {
			row.config.Targets = targets(2)
			g := failover.MustNew(row.config)
			l := pick(t, g)
			if recovered(func() { l.Done(row.err) }) != "boom" {
				t.Error("it does not reach the caller")
			}
			l.Done(nil)
			s := g.Snapshot()
			settled(t, s)
			if s.Calls != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A lease on a target that an Update has left out is given back as any other.
func TestLeaseOfATargetThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), ConsecutiveFailures: 1})
		l := pick(t, g)
		if err := g.Update(targets(2)[1:]); err != nil {
			t.Fatal(err)
		}
		l.Done(errDown)
		if err := g.Update(targets(2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s := g.Snapshot()
		settled(t, s)
		if s.Calls != 1 || s.Failures != 1 || s.Targets[0].State != failover.Healthy || s.Targets[0].Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}
