package hedge

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/stripe"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// counts are what a policy has done. They are its own, whether or not anybody looks.
type counts struct {
	calls    stripe.Counter // that began an attempt
	atOnce   stripe.Counter // of these, those that the first attempt won: the one count more of the good path
	wonLater atomic.Uint64  // those that a hedge won
	failed   stripe.Counter
	ignored  stripe.Counter
	attempts [2][telemetry.Lost + 1]atomic.Uint64 // by kind: initial, hedge; but for the successes of first attempts
	denied   [denials]atomic.Uint64
}

// denial is why there was no hedge when there might have been one.
type denial int

const (
	deniedLoad denial = iota
	deniedBudget
	deniedDeadline
	denials
)

var denialWords = [denials]string{"load", "budget", "deadline"}

// attempt counts how an attempt ended.
func (c *counts) attempt(k telemetry.AttemptKind, o telemetry.Outcome) {
	if k == telemetry.Initial && o == telemetry.Success {
		c.atOnce.Add()
		return
	}
	c.attempts[kindIndex(k)][o].Add(1)
}

func kindIndex(k telemetry.AttemptKind) int {
	if k == telemetry.Hedge {
		return 1
	}
	return 0
}

// Snapshot is a policy at one moment. Calls = Successes + Failures + Ignored, once none is under way.
type Snapshot struct {
	Name      string `json:"name"`
	Calls     uint64 `json:"calls"`
	Successes uint64 `json:"successes"`
	Failures  uint64 `json:"failures"`
	Ignored   uint64 `json:"ignored"` // the caller's context ended

	Hedges uint64            `json:"hedges"` // attempts beside the first
	Wins   uint64            `json:"wins"`   // calls that a hedge won
	Denied map[string]uint64 `json:"denied"` // hedges that were not made: load, budget, deadline

	Delay time.Duration `json:"-"` // now
	P50   time.Duration `json:"-"` // of first attempts, as learned; 0: not enough seen
	P95   time.Duration `json:"-"`
	P99   time.Duration `json:"-"`
}

// HedgeShare is hedges for each call.
func (s *Snapshot) HedgeShare() float64 { return share(s.Hedges, s.Calls) }

// WinShare is the share of hedges that won.
func (s *Snapshot) WinShare() float64 { return share(s.Wins, s.Hedges) }

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Snapshot returns the policy as it is now. It is safe for concurrent use; the numbers of calls under way may not add up
// yet. Delay and quantiles are those of the function doors; a Transport learns for each host and method by itself.
func (p *Policy) Snapshot() Snapshot {
	if p == nil {
		return Snapshot{}
	}
	s := Snapshot{
		Name: p.cfg.Name, Denied: make(map[string]uint64, denials),
		Wins:     p.counts.wonLater.Load(),
		Failures: p.counts.failed.Load(), Ignored: p.counts.ignored.Load(),
		Delay: p.pace.delay(),
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
	s.P50, s.P95, s.P99 = p.pace.quantile(0.5), p.pace.quantile(0.95), p.pace.quantile(0.99)
	return s
}

func (c *counts) each(do func(telemetry.AttemptKind, telemetry.Outcome, uint64)) {
	for i, k := range [...]telemetry.AttemptKind{telemetry.Initial, telemetry.Hedge} {
		for o := range c.attempts[i] {
			n := c.attempts[i][o].Load()
			if outcome := telemetry.Outcome(o); k == telemetry.Initial && outcome == telemetry.Success {
				n += c.atOnce.Load()
			}
			do(k, telemetry.Outcome(o), n)
		}
	}
}

// source is a Policy as telemetry sees it.
type source Policy

// Observe implements telemetry.Source.
func (s *source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	p := (*Policy)(s)
	p.counts.each(func(k telemetry.AttemptKind, o telemetry.Outcome, n uint64) {
		put(telemetry.Attempts, float64(n), telemetry.Kind(k), telemetry.AttemptOutcome(o))
	})
	put(telemetry.HedgeDelay, p.pace.delay().Seconds())
}
