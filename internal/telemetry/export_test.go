package telemetry

import (
	"context"
	"runtime"

	"go.opentelemetry.io/otel"
)

// Listed is how many policies the registry of the scope's provider has, those included that are gone and not swept out.
func (s *Scope) Listed() int {
	s.metering.sourcesMu.Lock()
	defer s.metering.sourcesMu.Unlock()
	return len(s.metering.sources)
}

// Follow waits until the metrics of the policies that follow the global provider are at that provider. With trigger it
// is itself the call that finds it there; otherwise somebody else has to be.
func Follow(ctx context.Context, trigger bool) {
	for {
		if trigger {
			globalMetering.histogram(ctx)
		}
		if b := globalMetering.bound.Load(); b != nil && b.moving == nil && b.is(otel.GetMeterProvider()) {
			return
		}
		runtime.Gosched()
	}
}
