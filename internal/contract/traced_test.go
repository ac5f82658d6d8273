package contract_test

import (
	"maps"
	"testing"

	metricapi "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	traceapi "go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/contract"
)

// The same contract while somebody looks: with spans, each attempt has a context of its own, and calls are timed.
func TestTraced(t *testing.T) {
	for name, k := range kinds {
		p := k.policy
		p.New = func(t testing.TB, s contract.Setup) *contract.Instance { return k.layer(t, s, true).Instance }
		t.Run(name, func(t *testing.T) { contract.Run(t, traced(p)) })
	}
	p := stackPolicy(advised, true)
	p.Brief = true
	t.Run(p.Name, func(t *testing.T) { contract.Run(t, traced(p)) })
}

func traced(p contract.Policy) contract.Policy {
	p.Name += ", traced"
	p.Variant = true
	p.Callbacks = nil // they are what they are without spans
	differs := maps.Clone(p.Differs)
	differs[contract.NoAllocation] = contract.Difference{Why: "spans and measurements are allocations", Instead: nothing}
	p.Differs = differs
	return p
}

// providers are those of an SDK that looks at everything, or the global ones, which do nothing.
func providers(traced bool) (traceapi.TracerProvider, metricapi.MeterProvider) {
	if !traced {
		return nil, nil
	}
	return trace.NewTracerProvider(), metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
}
