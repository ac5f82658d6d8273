package failover

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/stripe"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// core is a Group apart from the type of its targets.
type core struct {
	set    settings
	label  string // "failover users-db"
	scope  *telemetry.Scope
	start  time.Time // what all times inside are counted from
	table  atomic.Pointer[table]
	due    atomic.Int64 // when time itself may change something
	heeded atomic.Int64 // of the time of one call, what is heeded to tell slow targets; 0: all, as what is usual is not known yet
	finder finder

	nextTrial atomic.Int64 // when there may be one, where many targets wait for theirs

	_      [64]byte       // what is above is read by each call, and what is below written: not in one cache line
	turn   stripe.Counter // of RoundRobin
	_      [48]byte
	counts counts
	spare  spare

	mu         sync.Mutex
	closed     bool // no more probes
	states     map[string]*state
	judged     time.Duration // when targets were last judged by their window
	events     events
	background background
}

// settings are a Config apart from the type of its targets, with defaults.
type settings struct {
	name             string
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
	resolveEvery     time.Duration
}

func newSettings[T any](c *Config[T]) settings {
	s := settings{
		name: c.Name, balance: c.Balance, overprovisioning: c.Overprovisioning, maxTries: c.MaxTries,
		attemptTimeout: c.AttemptTimeout, failoverIf: c.FailoverIf, countIf: c.CountIf, budget: c.Budget,
		consecutive: int32(min(c.ConsecutiveFailures, 1<<30)), window: c.Window, minCalls: uint64(c.MinCalls),
		failureMargin: c.FailureMargin, slowFactor: c.SlowFactor, suspicion: c.Suspicion,
		maxEjected: c.MaxEjected, panicBelow: c.PanicBelow, ejectFor: c.EjectFor, maxEjectFor: c.MaxEjectFor,
		goodProbes: c.GoodProbes, slowStart: c.SlowStart,
		probeInterval: c.ProbeInterval, probeTimeout: c.ProbeTimeout, badProbes: c.BadProbes, onChange: c.OnChange,
		requestKey: c.RequestKey, repeatRequest: c.RepeatRequest, keepHost: c.KeepHost,
		noAttemptSpans: c.NoAttemptSpans, resolveEvery: c.ResolveEvery,
	}
	for _, d := range []*time.Duration{&s.window, &s.ejectFor, &s.maxEjectFor, &s.slowStart, &s.probeInterval, &s.probeTimeout, &s.resolveEvery} {
		*d = min(*d, forever)
	}
	if probe := c.Probe; probe != nil {
		s.probe = func(ctx context.Context, t *target) error { return probe(ctx, valueOf[T](t)) }
	}
	return s
}

// forever is 36 years: sums of a few such times are no longer than a time can be.
const forever = time.Duration(1) << 60

// counts are what a group has done. They are its own, whether or not anybody looks.
type counts struct {
	atOnce   stripe.Counter // calls that the first attempt won: the one count of the good path
	wonLater atomic.Uint64  // calls that another attempt won
	failed   atomic.Uint64
	ignored  atomic.Uint64
	refused  atomic.Uint64                           // there was no target
	late     atomic.Uint64                           // results that came after the state of their target had moved on
	attempts [2][telemetry.Refused + 1]atomic.Uint64 // by kind: initial, failover; but for the successes of first attempts
}

// attempt counts how an attempt ended.
func (c *counts) attempt(number int, o telemetry.Outcome) { c.attempts[min(number-1, 1)][o].Add(1) }

func (g *core) name() string {
	if g == nil {
		return "failover"
	}
	return g.label
}

// now is the time since the group was made. It reads one clock where time.Now reads two.
func (g *core) now() time.Duration { return time.Since(g.start) }

// downAfter is how many failures in a row make a target one that is known to be down.
func (s *settings) downAfter() int32 {
	if s.consecutive == 0 {
		return defaultConsecutive
	}
	return s.consecutive
}

// candidate is a target to be.
type candidate struct {
	name string
	make func(*state) *target
}

// replace makes these the targets.
func (g *core) replace(ts []candidate) {
	g.mu.Lock()
	now := g.now()
	all, states := make([]*target, len(ts)), make(map[string]*state, len(ts))
	for i, t := range ts {
		s := g.states[t.name]
		if s == nil {
			s = new(state)
			s.inFlight.apart = !g.set.compares()
			s.since.Store(int64(now))
		}
		states[t.name], all[i] = s, t.make(s)
	}
	for name, s := range g.states {
		s.gone = states[name] == nil
	}
	g.states = states
	g.rebuildLocked(all, now)
	g.background.probe(g, all)
	g.mu.Unlock()
}

// rebuildLocked makes the table anew, and says when time will change it.
func (g *core) rebuildLocked(ts []*target, now time.Duration) {
	g.table.Store(g.newTable(ts, now))
	due := g.judged + g.set.window/spells
	for _, t := range ts {
		switch from, paused := time.Duration(t.rampFrom.Load()), time.Duration(t.paused.Load()); {
		case t.is() == Ejected:
			due = min(due, max(t.until, now+1))
		case from != 0: // in steps, for the share of its level
			due = min(due, from+g.set.slowStart, now+max(g.set.slowStart/rampSteps, 1))
		case paused != 0:
			due = min(due, max(paused, now+1))
		}
	}
	g.due.Store(int64(due))
}

// tend does what time brings: it judges the targets, ends ejections and slow starts. Calls see to it, one at a time.
func (g *core) tend(now time.Duration) {
	if !g.mu.TryLock() {
		return // somebody else does
	}
	if now < time.Duration(g.due.Load()) {
		g.mu.Unlock()
		return
	}
	ts := g.table.Load().all
	if now-g.judged >= g.set.window/spells {
		g.judgeLocked(ts, now)
	}
	for _, t := range ts {
		if t.is() == Ejected && now >= t.until {
			g.overLocked(t, now)
		}
		if from := time.Duration(t.rampFrom.Load()); from != 0 && now >= from+g.set.slowStart {
			t.rampFrom.Store(0)
		}
		if until := time.Duration(t.paused.Load()); until != 0 && now >= until {
			t.paused.Store(0)
		}
	}
	g.rebuildLocked(ts, now)
	g.mu.Unlock()
	g.events.deliver(g)
}
