package breaker

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// source is a Breaker as telemetry sees it.
type source Breaker

// Observe implements telemetry.Source.
func (s *source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	b := (*Breaker)(s)
	var r report
	r.addTotals(b)
	r.addState(b)
	r.put(put)
}

// report is the sum of some breakers, for metrics.
type report struct {
	transitions [stateCount]uint64
	refused     [len(refusing)]uint64
	in          [stateCount]int // how many are in each state
	seen        counts
}

// addTotals adds what only grows.
func (r *report) addTotals(b *Breaker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s, n := range b.transitions {
		r.transitions[s] += uint64(n)
	}
	for i := range b.tally.refused {
		r.refused[i] += b.tally.refused[i].Load()
	}
}

// addState adds what is at this moment.
func (r *report) addState(b *Breaker) {
	r.in[b.State()]++
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gen.Load(); g.state == Closed {
		seen := b.seen(g, b.now())
		r.seen.calls += seen.calls
		r.seen.failures += seen.failures
	}
}

func (r *report) put(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	for s := range stateCount {
		state := telemetry.BreakerState(s.String())
		put(telemetry.BreakerStatus, float64(r.in[s]), state)
		put(telemetry.BreakerTransitions, float64(r.transitions[s]), state)
	}
	for i, s := range refusing {
		put(telemetry.Rejections, float64(r.refused[i]), telemetry.RejectReason(s.String()))
	}
	ratio := 0.0
	if r.seen.calls > 0 {
		ratio = float64(r.seen.failures) / float64(r.seen.calls)
	}
	put(telemetry.BreakerFailureRatio, ratio)
}
