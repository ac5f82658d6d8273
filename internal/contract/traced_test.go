package contract_test

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

// The same contract while somebody looks: with spans, each attempt has a context of its own.

func TestRetryTraced(t *testing.T) {
	p := retryPolicy()
	p.Name += ", traced"
	p.New = func(t testing.TB, s contract.Setup) *contract.Instance {
		return retryInstance(newRetry(t, s, func(c *retry.Config) {
			c.TracerProvider, c.MeterProvider = trace.NewTracerProvider(), metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
		}))
	}
	contract.Run(t, traced(p))
}

func TestBreakerTraced(t *testing.T) {
	p := breakerPolicy()
	p.Name += ", traced"
	p.New = func(t testing.TB, s contract.Setup) *contract.Instance {
		return breakerInstance(newBreaker(t, s, func(c *breaker.Config) {
			c.TracerProvider, c.MeterProvider = trace.NewTracerProvider(), metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
		}))
	}
	contract.Run(t, traced(p))
}

func traced(p contract.Policy) contract.Policy {
	p.Variant = true
	p.Callbacks = nil // they are what they are without spans
	p.Differs[contract.NoAllocation] = contract.Difference{Why: "spans and measurements are allocations", Instead: nothing}
	return p
}
