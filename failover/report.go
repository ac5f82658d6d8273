package failover

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// source is a group as telemetry sees it.
type source core

// Observe implements telemetry.Source.
func (s *source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	g := (*core)(s)
	g.counts.each(func(k telemetry.AttemptKind, o telemetry.Outcome, n uint64) {
		put(telemetry.Attempts, float64(n), telemetry.Kind(k), telemetry.AttemptOutcome(o))
	})
	put(telemetry.Rejections, float64(g.counts.refused.Load()), telemetry.RejectReason("no_target"))
	g.statuses(func(name string, is State) {
		for state := range states {
			in := 0.0
			if state == is {
				in = 1
			}
			put(telemetry.TargetStatus, in, telemetry.Target(name), telemetry.TargetState(state.String()))
		}
	})
}
