package hedge

import (
	"cmp"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Snapshot is a policy at one moment: to look at, and to log. It has a JSON form, with durations as text.
//
// Calls = Successes + Failures + Ignored, once none is under way.
type Snapshot struct {
	Name string
	At   time.Time

	// Since New.
	Calls     uint64
	Successes uint64
	Failures  uint64
	Ignored   uint64            // the caller's context ended
	Hedges    uint64            // attempts beside the first
	Wins      uint64            // calls that a hedge won
	Denied    map[string]uint64 // hedges that were not made: load, budget, deadline

	// Of the function doors.
	Delay time.Duration // now
	P50   time.Duration // of first attempts of late; 0: not enough seen
	P95   time.Duration
	P99   time.Duration

	Hosts []HostSnapshot // what Transports have learned, by host and then by method
}

// HostSnapshot is what Transports have learned of the requests to one host with one method. Hosts that were not asked
// for ten minutes are forgotten.
type HostSnapshot struct {
	Host   string // with its port, if that is not the usual one
	Method string
	Delay  time.Duration
	P50    time.Duration
	P95    time.Duration
	P99    time.Duration
}

// HedgeShare is hedges for each call.
func (s Snapshot) HedgeShare() float64 { return share(s.Hedges, s.Calls) }

// WinShare is the share of hedges that won.
func (s Snapshot) WinShare() float64 { return share(s.Wins, s.Hedges) }

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Snapshot returns the policy as it is now. It is safe for concurrent use. While calls come and go
// the numbers may be of slightly different moments.
func (p *Policy) Snapshot() Snapshot {
	if p == nil {
		return Snapshot{}
	}
	set := p.set.Load()
	s := Snapshot{
		Name: set.Name, At: p.start.Add(p.now()),
		Wins:     p.counts.wonLater.Load(),
		Failures: p.counts.failed.Load(), Ignored: p.counts.ignored.Load(),
		Denied: make(map[string]uint64, denials),
	}
	s.Successes = p.counts.atOnce.Load() + s.Wins
	s.Calls = s.Successes + s.Failures + s.Ignored
	p.counts.each(func(k telemetry.AttemptKind, _ telemetry.Outcome, n uint64) {
		if k == telemetry.Hedge {
			s.Hedges += n
		}
	})
	for i, word := range denialWords {
		s.Denied[word] = p.counts.denied[i].Load()
	}
	now := p.now()
	s.Delay, s.P50, s.P95, s.P99 = p.pace.learned(set, now)
	for key, at := range p.hosts.All() {
		h := HostSnapshot{Host: key.host, Method: key.method}
		h.Delay, h.P50, h.P95, h.P99 = at.learned(set, now)
		s.Hosts = append(s.Hosts, h)
	}
	slices.SortFunc(s.Hosts, func(a, b HostSnapshot) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Method, b.Method))
	})
	return s
}

// learned is the delay, and the quantiles that a Snapshot has: of what is not too old by now.
func (p *pace) learned(set *settings, now time.Duration) (delay, p50, p95, p99 time.Duration) {
	p.follow(set, now)
	p.seen.Advance(now)
	return p.delay(set, now), p.quantile(0.5), p.quantile(0.95), p.quantile(0.99)
}

// MarshalJSON writes {"name": "search", "calls": 100, "delay": "20ms", …}, what is zero left out.
func (s Snapshot) MarshalJSON() ([]byte, error) { return s.fields().Marshal() }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Snapshot) UnmarshalJSON(data []byte) error { return s.fields().Unmarshal(data) }

func (s *Snapshot) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &s.Name},
		{Key: "at", To: &s.At},
		{Key: "calls", To: &s.Calls},
		{Key: "successes", To: &s.Successes},
		{Key: "failures", To: &s.Failures},
		{Key: "ignored", To: &s.Ignored},
		{Key: "hedges", To: &s.Hedges},
		{Key: "wins", To: &s.Wins},
		{Key: "denied", To: &s.Denied},
		{Key: "delay", To: &s.Delay},
		{Key: "p50", To: &s.P50},
		{Key: "p95", To: &s.P95},
		{Key: "p99", To: &s.P99},
		{Key: "hosts", To: &s.Hosts},
	}
}

// MarshalJSON writes {"host": "example.com", "method": "GET", "delay": "20ms", …}.
func (h HostSnapshot) MarshalJSON() ([]byte, error) { return h.fields().Marshal() }

// UnmarshalJSON reads what MarshalJSON writes.
func (h *HostSnapshot) UnmarshalJSON(data []byte) error { return h.fields().Unmarshal(data) }

func (h *HostSnapshot) fields() conf.Fields {
	return conf.Fields{
		{Key: "host", To: &h.Host},
		{Key: "method", To: &h.Method},
		{Key: "delay", To: &h.Delay},
		{Key: "p50", To: &h.P50},
		{Key: "p95", To: &h.P95},
		{Key: "p99", To: &h.P99},
	}
}
