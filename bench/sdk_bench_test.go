package bench_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// nowhere takes spans and drops them, as it is what is measured that makes them.
type nowhere struct{}

func (nowhere) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (nowhere) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (nowhere) Shutdown(context.Context) error                  { return nil }
func (nowhere) ForceFlush(context.Context) error                { return nil }

// sdk is what of OpenTelemetry is installed. It is given in the Config, where it is looked up as the global one is.
type sdk struct {
	name   string
	tracer trace.TracerProvider
	meter  metric.MeterProvider
}

func sdks() []sdk {
	tracer := func(s sdktrace.Sampler) trace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(nowhere{}))
	}
	meter := func() metric.MeterProvider {
		return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	}
	return []sdk{
		{name: "none"},
		{name: "drops", tracer: tracer(sdktrace.NeverSample())},
		{name: "samples", tracer: tracer(sdktrace.AlwaysSample())},
		{name: "metrics", meter: meter()},
		{name: "drops+metrics", tracer: tracer(sdktrace.NeverSample()), meter: meter()},
		{name: "samples+metrics", tracer: tracer(sdktrace.AlwaysSample()), meter: meter()},
	}
}

// BenchmarkSDK is a call that succeeds at once while an OpenTelemetry SDK is installed: one that drops all spans, one that
// keeps them, one that gathers metrics. The sides are the SDKs.
func BenchmarkSDK(b *testing.B) {
	jobs := map[string][]side{}
	for _, s := range sdks() {
		for job, of := range instrumented(s) {
			jobs[job] = append(jobs[job], side{s.name, of.bind})
		}
	}
	for _, job := range []string{"retry", "breaker", "bulkhead", "hedge", "failover", "stack", "http-stack"} {
		measure(b, job, jobs[job]...)
	}
}

// instrumented are the jobs under s.
func instrumented(s sdk) map[string]side {
	fn := work
	l := threeLayers()
	l.retry.TracerProvider, l.retry.MeterProvider = s.tracer, s.meter
	l.breaker.TracerProvider, l.breaker.MeterProvider = s.tracer, s.meter
	l.bulkhead.TracerProvider, l.bulkhead.MeterProvider = s.tracer, s.meter
	retries, users, slots := l.make()
	hedges := hedge.MustNew(hedge.Config{Delay: time.Second, TracerProvider: s.tracer, MeterProvider: s.meter})
	group := failover.MustNew(failover.Config[int]{Targets: targets(3), TracerProvider: s.tracer, MeterProvider: s.meter})
	answer := func(context.Context, int) (int, error) { return 1, nil }
	return map[string]side{
		"retry":      does("", func(ctx context.Context) error { _, err := retry.Do(ctx, retries, fn); return err }),
		"breaker":    does("", func(ctx context.Context) error { _, err := breaker.Do(ctx, users, fn); return err }),
		"bulkhead":   does("", func(ctx context.Context) error { _, err := bulkhead.Do(ctx, slots, fn); return err }),
		"hedge":      does("", func(ctx context.Context) error { _, err := hedge.Do(ctx, hedges, fn); return err }),
		"failover":   does("", func(ctx context.Context) error { _, err := failover.Do(ctx, group, answer); return err }),
		"stack":      ourStacks(l)[0],
		"http-stack": gets(tripper{"", retry.Transport(retries, breaker.TransportFor(users, bulkhead.Transport(slots, stub{})))})[0],
	}
}
