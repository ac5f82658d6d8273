package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// settings are what the policies of one combination go by. All times are so short that within one burst breakers open and
// close, targets are ejected and come back, and places run out.
type settings struct {
	budget   *retry.Budget // nil: none
	retry    retry.Config
	breaker  breaker.Config
	bulkhead bulkhead.Config
	hedge    hedge.Config
	failover failover.Config[*url.URL]

	functions  bool    // there are no calls through the Transport: then the books can be checked to the last column
	rate       float64 // of the fault
	faithful   bool
	http2      bool
	serverSide []string // the stack of the server, the outermost first
	outermost  bool     // the server's faults are outside of that
}

// oneOf draws one of the values.
func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

const ms = time.Millisecond

// drawSettings draws the settings of a combination.
func drawSettings(r *rand.Rand, order []string) (*settings, error) {
	group := 50 * ms // what is outside has more time, or NewStack says that it cannot work
	if slices.Index(order, "failover") < slices.Index(order, "retry") {
		group = 150 * ms
	}
	s := &settings{
		retry: retry.Config{
			Name: "retry", MaxAttempts: oneOf(r, 2, 3), BaseDelay: oneOf(r, -1, ms, 3*ms, patience/2), MaxDelay: patience / 2,
			AttemptTimeout: oneOf(r, 0, 60*ms), BufferBody: oneOf[int64](r, 0, 4096),
		},
		breaker: breaker.Config{
			Name: "breaker", ConsecutiveFailures: oneOf(r, 3, 8), MinCalls: 10, Window: time.Second,
			OpenFor: 4 * ms, MaxOpenFor: 16 * ms, Probes: oneOf(r, 1, 2), SlowAfter: oneOf(r, 0, 50*ms),
		},
		bulkhead: bulkhead.Config{
			Name: "bulkhead", Limit: oneOf(r, 3, 8), Queue: oneOf(r, 0, 4, 16), MaxWait: oneOf(r, 0, 40*ms),
			ReleaseAtHeader: oneOf(r, false, true), Adaptive: oneOf(r, nil, nil, &bulkhead.Adaptive{Min: 2, Max: 10}),
		},
		hedge: hedge.Config{
			Name: "hedge", MaxHedges: oneOf(r, 1, 2), Delay: oneOf(r, -1, 0, 3*ms), FirstDelay: 5 * ms, MaxExtraLoad: oneOf(r, -1, 0, 0.5),
		},
		failover: failover.Config[*url.URL]{
			Name: "failover", Balance: oneOf(r, failover.Ordered, failover.RoundRobin, failover.LeastLoaded, failover.PeakEWMA),
			MaxTries: oneOf(r, 2, 3), AttemptTimeout: oneOf(r, 0, group), ConsecutiveFailures: oneOf(r, 2, 5),
			EjectFor: 4 * ms, MaxEjectFor: 16 * ms, GoodProbes: oneOf(r, 1, 2), SlowStart: oneOf(r, -1, 5*ms),
			MaxEjected: oneOf(r, 0, 1.0), PanicBelow: oneOf(r, -1, 0, 0.3), Suspicion: oneOf(r, 0, 3.0),
		},
		functions: oneOf(r, false, true), rate: oneOf(r, 0.1, 0.4, 1),
		faithful: oneOf(r, false, true), http2: oneOf(r, false, true),
		serverSide: oneOf(r, []string{"breaker", "bulkhead"}, []string{"bulkhead", "breaker"}),
		outermost:  oneOf(r, false, true),
	}
	if s.bulkhead.Adaptive != nil {
		s.bulkhead.Limit = 0
	}
	if oneOf(r, false, true) {
		var err error
		if s.budget, err = retry.NewBudget(retry.BudgetConfig{Capacity: 20, Floor: 100}); err != nil {
			return nil, err
		}
		s.retry.Budget, s.hedge.Budget, s.failover.Budget = s.budget, s.budget, s.budget
	}
	return s, nil
}

// targets are the backends as a failover has them.
func targets(urls []*url.URL) (ts []failover.Target[*url.URL]) {
	for i, u := range urls {
		ts = append(ts, failover.Target[*url.URL]{Name: string(rune('a' + i)), Value: u})
	}
	return ts
}

// client makes one policy of the client's stack.
func (s *settings) client(kind string, urls []*url.URL) (watched, error) {
	switch kind {
	case "retry":
		p, err := retry.New(s.retry)
		return watchRetry(p), err
	case "breaker":
		b, err := breaker.New(s.breaker)
		return watchBreaker(b), err
	case "bulkhead":
		b, err := bulkhead.New(s.bulkhead)
		return watchBulkhead(b), err
	case "hedge":
		p, err := hedge.New(s.hedge)
		return watchHedge(p), err
	case "failover":
		c := s.failover
		c.Targets = targets(urls)
		g, err := failover.New(c)
		return watchGroup(g), err
	}
	return watched{}, fmt.Errorf("no policy is called %q", kind)
}

// server makes one policy of a backend's stack.
func (s *settings) server(kind string) (watched, error) {
	if kind == "breaker" {
		c := s.breaker
		c.Name = "server"
		b, err := breaker.New(c)
		return watchBreaker(b), err
	}
	b, err := bulkhead.New(bulkhead.Config{Name: "server", Limit: 4, Queue: 8, MaxWait: 40 * ms})
	return watchBulkhead(b), err
}

// doors are those that calls may take.
func (s *settings) doors() []door {
	if s.functions {
		return doors[1:]
	}
	return doors
}
