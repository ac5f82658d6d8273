package failover

import (
	"context"
	"net/http"
	"time"
)

// settings are a Config apart from the type of its targets, with defaults. They do not change: Reconfigure puts others in their
// place, together with the table.
type settings struct {
	group            *core // whose they are
	given            any   // the *Config[T], with defaults in place of zeros
	balance          Balance
	overprovisioning float64
	maxTries         int
	attemptTimeout   time.Duration
	failoverIf       func(error) bool
	countIf          func(error) bool
	budget           Budget
	consecutive      int32 // 0: not heeded
	window           time.Duration
	minCalls         uint64
	failureMargin    float64 // 0: not heeded
	slowFactor       float64 // likewise
	suspicion        float64 // likewise
	maxEjected       float64
	panicBelow       float64
	ejectFor         time.Duration
	maxEjectFor      time.Duration
	goodProbes       int
	slowStart        time.Duration
	probe            func(context.Context, *target) error // nil: none
	probeInterval    time.Duration
	probeTimeout     time.Duration
	badProbes        int
	onChange         func(Event)
	requestKey       func(*http.Request) string
	repeatRequest    func(*http.Request) bool
	keepHost         bool
	noAttemptSpans   bool
	finder           *finder // nil: there is no Resolve
}

// settingsOf makes settings of a Config that was checked.
func (g *Group[T]) settingsOf(c Config[T]) *settings {
	given := c.spelled()
	c = c.withDefaults()
	s := &settings{
		group: &g.core, given: &given, balance: c.Balance, overprovisioning: c.Overprovisioning, maxTries: c.MaxTries,
		attemptTimeout: c.AttemptTimeout, failoverIf: c.FailoverIf, countIf: c.CountIf, budget: c.Budget,
		consecutive: int32(min(c.ConsecutiveFailures, 1<<30)), window: c.Window, minCalls: uint64(c.MinCalls),
		failureMargin: c.FailureMargin, slowFactor: c.SlowFactor, suspicion: c.Suspicion,
		maxEjected: c.MaxEjected, panicBelow: c.PanicBelow, ejectFor: c.EjectFor, maxEjectFor: c.MaxEjectFor,
		goodProbes: c.GoodProbes, slowStart: c.SlowStart,
		probeInterval: c.ProbeInterval, probeTimeout: c.ProbeTimeout, badProbes: c.BadProbes, onChange: c.OnChange,
		requestKey: c.RequestKey, repeatRequest: c.RepeatRequest, keepHost: c.KeepHost,
		noAttemptSpans: c.NoAttemptSpans,
	}
	for _, d := range []*time.Duration{&s.window, &s.ejectFor, &s.maxEjectFor, &s.slowStart, &s.probeInterval, &s.probeTimeout} {
		*d = min(*d, forever)
	}
	if probe := c.Probe; probe != nil {
		s.probe = func(ctx context.Context, t *target) error { return probe(ctx, valueOf[T](t)) }
	}
	if c.Resolve != nil {
		s.finder = newFinder(g, c.Resolve, min(c.ResolveEvery, forever))
	}
	return s
}

// forever is 36 years: sums of a few such times are no longer than a time can be.
const forever = time.Duration(1) << 60

// downAfter is how many failures in a row make a target one that is known to be down.
func (s *settings) downAfter() int32 {
	if s.consecutive == 0 {
		return defaultConsecutive
	}
	return s.consecutive
}
