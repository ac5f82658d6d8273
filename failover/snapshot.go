package failover

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Snapshot is a group at one moment: to look at, and to log. It has a JSON form. Calls = Successes + Failures + Ignored +
// Refused, once none is under way.
type Snapshot struct {
	Name      string    `json:"name"`
	At        time.Time `json:"at"`
	Calls     uint64    `json:"calls"`
	Successes uint64    `json:"successes"`
	Failures  uint64    `json:"failures"`
	Ignored   uint64    `json:"ignored"`   // the caller cancelled
	Refused   uint64    `json:"refused"`   // there was no target
	Failovers uint64    `json:"failovers"` // attempts after the first of a call
	Late      uint64    `json:"late"`      // results that came after the state of their target had moved on
	Panic     bool      `json:"panic"`     // too few are healthy: all are used

	Targets []TargetSnapshot `json:"targets"` // by their levels
}

// TargetSnapshot is one target.
type TargetSnapshot struct {
	Name      string    `json:"name"`
	Priority  int       `json:"priority"`
	Weight    float64   `json:"weight"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"` // when the ejection ends
	Why       string    `json:"why,omitempty"`  // it was ejected, the last time
	Ejections int       `json:"ejections"`      // those that are remembered, and make the next one longer

	InFlight  int    `json:"in_flight"`
	Successes uint64 `json:"successes"` // attempts, since it is known
	Failures  uint64 `json:"failures"`
	LastError string `json:"last_error,omitempty"` // its type

	Latency Latency `json:"latency,omitzero"`
}

// Latency is how long attempts take. Its JSON has durations as text.
type Latency struct {
	Mean time.Duration // of successes in the Window
	Cost time.Duration // what PeakEWMA goes by
}

// MarshalJSON writes {"mean": "2ms", "cost": "3ms"}.
func (l Latency) MarshalJSON() ([]byte, error) { return l.fields().Marshal() }

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Latency) UnmarshalJSON(data []byte) error { return l.fields().Unmarshal(data) }

func (l *Latency) fields() conf.Fields {
	return conf.Fields{{Key: "mean", To: &l.Mean}, {Key: "cost", To: &l.Cost}}
}

// Snapshot returns the group as it is now. It is safe for concurrent use; the numbers of calls under way may not add up
// yet.
func (g *Group[T]) Snapshot() Snapshot {
	if g == nil {
		return Snapshot{}
	}
	return g.snapshot()
}

func (g *core) snapshot() Snapshot {
	now := g.now()
	if int64(now) >= g.due.Load() { // there may be no calls that see to it
		g.tend(now)
	}
	c := &g.counts
	s := Snapshot{
		Name: g.title, At: g.start.Add(now),
		Failures: c.failed.Load(), Ignored: c.ignored.Load(), Refused: c.refused.Load(), Late: c.late.Load(),
		Successes: c.atOnce.Load() + c.wonLater.Load(),
	}
	s.Calls = s.Successes + s.Failures + s.Ignored + s.Refused
	for o := range c.attempts[1] {
		s.Failovers += c.attempts[1][o].Load()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.table.Load()
	s.Panic = t.panics
	for _, x := range t.all {
		s.Targets = append(s.Targets, g.targetLocked(x, now))
	}
	return s
}

func (g *core) targetLocked(t *target, now time.Duration) TargetSnapshot {
	s := TargetSnapshot{
		Name: t.name, Priority: t.priority, Weight: t.weight, State: t.is(),
		Since: g.start.Add(time.Duration(t.since.Load())), Why: t.why, Ejections: t.ejections,
		InFlight: int(t.inFlight.load()),
	}
	if s.State == Ejected {
		s.Until = g.start.Add(t.until)
	}
	if word := t.lastError.Load(); word != nil {
		s.LastError = *word
	}
	seen := t.window.sum()
	seen.add(t.latest())
	s.Latency = Latency{Mean: seen.mean(), Cost: time.Duration(t.cost.at(int64(now)))}
	seen.add(t.window.past)
	s.Successes, s.Failures = seen.good, seen.bad
	return s
}

// statuses are the targets' states, for metrics.
func (g *core) statuses(put func(name string, s State)) {
	for _, t := range g.table.Load().all {
		put(t.name, t.is())
	}
}

// each puts the attempts by kind and outcome.
func (c *counts) each(put func(telemetry.AttemptKind, telemetry.Outcome, uint64)) {
	for i, k := range [...]telemetry.AttemptKind{telemetry.Initial, telemetry.Failover} {
		for o := range c.attempts[i] {
			n := c.attempts[i][o].Load()
			if outcome := telemetry.Outcome(o); k == telemetry.Initial && outcome == telemetry.Success {
				n += c.atOnce.Load()
			}
			put(k, telemetry.Outcome(o), n)
		}
	}
}
