package failover

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/stripe"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// core is a Group apart from the type of its targets.
type core struct {
	title  string // Config.Name
	label  string // "failover users-db"
	scope  *telemetry.Scope
	start  time.Time             // what all times inside are counted from
	table  atomic.Pointer[table] // with the settings that go with it
	due    atomic.Int64          // when time itself may change something
	heeded atomic.Int64          // of the time of one call, what is heeded to tell slow targets; 0: all, as what is usual is not known yet
	ready  atomic.Bool           // there are targets

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

// set is what the group goes by at present. A call loads it once, and goes by that to its end.
func (g *core) set() *settings { return g.table.Load().set }

// now is the time since the group was made. It reads one clock where time.Now reads two.
func (g *core) now() time.Duration { return time.Since(g.start) }

// candidate is a target to be.
type candidate struct {
	name string
	make func(*state) *target
}

// replace makes these the targets.
func (g *core) replace(ts []candidate) {
	g.mu.Lock()
	g.replaceLocked(g.set(), ts)
	g.mu.Unlock()
}

// replaceLocked makes these the targets, and these the settings, in one step.
func (g *core) replaceLocked(set *settings, ts []candidate) {
	now := g.now()
	all, states := make([]*target, len(ts)), make(map[string]*state, len(ts))
	for i, t := range ts {
		s := g.states[t.name]
		if s == nil {
			s = new(state)
			s.since.Store(int64(now))
		}
		s.inFlight.part(!set.compares())
		states[t.name], all[i] = s, t.make(s)
	}
	for name, s := range g.states {
		s.gone = states[name] == nil
	}
	g.states = states
	g.rebuildLocked(set, all, now)
	g.background.probe(g, set, all)
}

// rebuildLocked makes the table anew, and says when time will change it.
func (g *core) rebuildLocked(set *settings, ts []*target, now time.Duration) {
	g.table.Store(newTable(set, ts, set.probe == nil || g.closed, now))
	due := g.judged + set.window/spells
	for _, t := range ts {
		switch from, paused := time.Duration(t.rampFrom.Load()), time.Duration(t.paused.Load()); {
		case t.is() == Ejected:
			due = min(due, max(t.until, now+1))
		case from != 0: // in steps, for the share of its level
			due = min(due, from+set.slowStart, now+max(set.slowStart/rampSteps, 1))
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
	t := g.table.Load()
	set, ts := t.set, t.all
	if now-g.judged >= set.window/spells {
		g.judgeLocked(t, now)
	}
	for _, t := range ts {
		if t.is() == Ejected && now >= t.until {
			g.overLocked(t, now)
		}
		if from := time.Duration(t.rampFrom.Load()); from != 0 && now >= from+set.slowStart {
			t.rampFrom.Store(0)
		}
		if until := time.Duration(t.paused.Load()); until != 0 && now >= until {
			t.paused.Store(0)
		}
	}
	g.rebuildLocked(set, ts, now)
	g.mu.Unlock()
	g.events.deliver(g)
}
