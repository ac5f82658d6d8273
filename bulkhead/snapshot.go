package bulkhead

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Snapshot is a bulkhead at one moment: to look at, and to log. It has a JSON form.
//
// Of all calls that have ended, each is one of Successes, Failures, Ignored and Refused.
type Snapshot struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`

	InUse      int  `json:"in_use"` // calls that have a place. More than Limit after it was lowered, until they end
	Limit      int  `json:"limit"`
	Queued     int  `json:"queued"` // calls that wait
	QueueLimit int  `json:"queue_limit"`
	Standing   bool `json:"standing"` // the queue does not keep up: newest first

	// Since New.
	Successes uint64            `json:"successes"`
	Failures  uint64            `json:"failures"`
	Ignored   uint64            `json:"ignored"` // cancelled, or refused below
	Refused   uint64            `json:"refused"`
	RefusedBy map[Reason]uint64 `json:"refused_by,omitempty"` // the parts of Refused
	Waited    uint64            `json:"waited"`               // calls that waited, whatever became of them

	Waits Waits `json:"waits,omitzero"`
	Calls Calls `json:"calls,omitzero"`
}

// Waits are how long the calls waited that left the queue in the last one or two minutes, whether or not they had a
// place then. Its JSON has durations as text.
type Waits struct{ P50, P90, P99, Max time.Duration }

// Calls are estimates of how long calls hold their place. Its JSON has durations as text.
type Calls struct {
	Mean   time.Duration // weighted, the newest most
	Median time.Duration // half of them take less
}

// MarshalJSON writes {"p50": "2ms", …}.
func (w Waits) MarshalJSON() ([]byte, error) { return w.fields().Marshal() }

// UnmarshalJSON reads what MarshalJSON writes.
func (w *Waits) UnmarshalJSON(data []byte) error { return w.fields().Unmarshal(data) }

func (w *Waits) fields() conf.Fields {
	return conf.Fields{{Key: "p50", To: &w.P50}, {Key: "p90", To: &w.P90}, {Key: "p99", To: &w.P99}, {Key: "max", To: &w.Max}}
}

// MarshalJSON writes {"mean": "2ms", "median": "1ms"}.
func (c Calls) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Calls) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

func (c *Calls) fields() conf.Fields {
	return conf.Fields{{Key: "mean", To: &c.Mean}, {Key: "median", To: &c.Median}}
}

// Snapshot returns the bulkhead as it is now. It is safe for concurrent use, and changes nothing. While calls come and
// go the numbers may be of slightly different moments.
func (b *Bulkhead) Snapshot() Snapshot {
	if b == nil {
		return Snapshot{}
	}
	s := Snapshot{
		Name:  b.name,
		Calls: Calls{Mean: b.service.average(), Median: b.service.typical()},
	}
	b.putTotals(&s)

	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	s.At = b.start.Add(now)
	s.InUse, s.Limit = b.slots.inUse(), b.limit
	s.Queued, s.QueueLimit, s.Standing = b.queue.len, b.queue.max, b.standing(now)
	if w := b.waits; w != nil {
		w.turn(now)
		s.Waited = w.total
		s.Waits = Waits{w.quantile(0.5), w.quantile(0.9), w.quantile(0.99), w.max()}
	}
	return s
}

// putTotals puts what only grows.
func (b *Bulkhead) putTotals(s *Snapshot) {
	ended := b.slots.uses()
	failures, ignored := b.tally.failures.Load(), b.tally.ignoredRuns.Load()
	running := uint64(b.slots.inUse())
	s.Successes = ended - min(failures+ignored+running, ended)
	s.Failures = failures
	s.Ignored = ignored + b.tally.ignored.Load()
	for r := range reasons {
		n := b.tally.refused[r].Load()
		if n == 0 {
			continue
		}
		if s.RefusedBy == nil {
			s.RefusedBy = map[Reason]uint64{}
		}
		s.Refused += n
		s.RefusedBy[r] = n
	}
}
