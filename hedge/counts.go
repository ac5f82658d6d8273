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
	put(telemetry.HedgeDelay, p.delayNow().Seconds())
}

// delayNow is the delay for metrics, of which there is one for a policy: that of the function doors; or, where only
// Transports are used, that of the host that is waited for the longest.
func (p *Policy) delayNow() time.Duration {
	set, now := p.set.Load(), p.now()
	if set.Delay != 0 || p.pace.seen.Count() > 0 {
		return p.pace.delay(set, now)
	}
	longest := time.Duration(-1)
	for _, at := range p.hosts.All() {
		longest = max(longest, at.delay(set, now))
	}
	if longest < 0 {
		return p.pace.delay(set, now)
	}
	return longest
}
