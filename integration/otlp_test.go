package integration_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

const scope = "github.com/holdfast-go/holdfast"

// TestOTLP makes a request that is retried through a breaker, and one that the breaker refuses, and looks at what a
// collector receives of them.
func TestOTLP(t *testing.T) {
	collector := newReceiver(t)
	traceExporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(collector.URL+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	metricExporter, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(collector.URL+"/v1/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithBatcher(traceExporter))
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricExporter)))

	var requests atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer backend.Close()
	retries := retry.MustNew(retry.Config{Name: "payments", BaseDelay: -1, TracerProvider: tracer, MeterProvider: meter})
	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{
		Name: "hosts", ConsecutiveFailures: 3, TracerProvider: tracer, MeterProvider: meter,
	}})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: retry.Transport(retries, breaker.Transport(hosts, http.DefaultTransport))}
	get := func() error {
		resp, err := client.Get(backend.URL)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Body.Close()
	}
	if err := get(); err != nil || requests.Load() != 3 {
		t.Fatalf("%v after %d requests; want success at the third", err, requests.Load())
	}
	hosts.Get(backend.Listener.Addr().String()).Force(breaker.ForcedOpen)
	if err := get(); !errors.Is(err, breaker.ErrOpen) {
		t.Fatalf("%v; want a refusal", err)
	}

	for _, shutdown := range []func(context.Context) error{tracer.Shutdown, meter.Shutdown} { // exports what there is
		if err := shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	checkTraces(t, collector)
	checkMetrics(t, collector)
}

func checkTraces(t *testing.T, collector *receiver) {
	t.Helper()
	var spans []*traces.Span
	for _, s := range collector.spans {
		if s.Scope.Name == scope && s.Scope.Version != "" {
			spans = append(spans, s.Spans...)
		}
	}
	slices.SortFunc(spans, func(a, b *traces.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	children := func(of *traces.Span) (found []*traces.Span) {
		for _, s := range spans {
			if of == nil && len(s.ParentSpanId) == 0 || of != nil && slices.Equal(s.ParentSpanId, of.SpanId) {
				found = append(found, s)
			}
		}
		return found
	}
	check := func(s *traces.Span, name string, status traces.Status_StatusCode, want map[string]string) {
		t.Helper()
		got := attributes(s.Attributes)
		if s.Name != name || s.Status.Code != status || s.Kind != traces.Span_SPAN_KIND_INTERNAL || !maps.Equal(got, want) || len(s.Events) > 0 {
			t.Errorf("%s %v %v %v, %d events; want %s %v %v", s.Name, s.Kind, s.Status, got, len(s.Events), name, status, want)
		}
	}
	const failed, unset = traces.Status_STATUS_CODE_ERROR, traces.Status_STATUS_CODE_UNSET

	calls := children(nil)
	if len(calls) != 2 || len(spans) != 2+3*2+2 {
		t.Fatalf("%d spans, %d of them calls; want 10 and 2", len(spans), len(calls))
	}
	of := map[string]string{"holdfast.policy.name": "payments", "holdfast.policy.type": "retry"}
	with := func(attrs map[string]string, more ...string) map[string]string {
		all := maps.Clone(attrs)
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	check(calls[0], "retry payments", unset, with(of, "holdfast.call.attempts", "3", "holdfast.call.outcome", "success"))
	check(calls[1], "retry payments", failed, with(of, "holdfast.call.attempts", "1", "holdfast.call.outcome", "failure", "error.type", "breaker_forced_open"))

	attempts := children(calls[0])
	if len(attempts) != 3 {
		t.Fatalf("%d attempts, want 3", len(attempts))
	}
	bad := map[string]string{"holdfast.attempt.outcome": "failure", "error.type": "503"}
	check(attempts[0], "attempt payments", failed, with(bad, "holdfast.attempt.kind", "initial", "holdfast.attempt.number", "1"))
	check(attempts[1], "attempt payments", failed, with(bad, "holdfast.attempt.kind", "retry", "holdfast.attempt.number", "2", "http.request.resend_count", "1"))
	check(attempts[2], "attempt payments", unset, map[string]string{
		"holdfast.attempt.outcome": "success", "holdfast.attempt.kind": "retry", "holdfast.attempt.number": "3", "http.request.resend_count": "2",
	})
	through := map[string]string{"holdfast.policy.name": "hosts", "holdfast.policy.type": "breaker", "holdfast.breaker.state": "closed"}
	for i, attempt := range append(attempts, children(calls[1])...) {
		below := children(attempt)
		if len(below) != 1 {
			t.Fatalf("attempt %d: %d spans below, want the breaker's", i, len(below))
		}
		switch i {
		case 0, 1:
			check(below[0], "breaker hosts", failed, with(through, "holdfast.call.outcome", "failure", "error.type", "503"))
		case 2:
			check(below[0], "breaker hosts", unset, with(through, "holdfast.call.outcome", "success"))
		default:
			check(below[0], "breaker hosts", failed, with(through, "holdfast.breaker.state", "forced_open",
				"holdfast.call.outcome", "refused", "holdfast.reject.reason", "forced_open", "error.type", "breaker_forced_open"))
		}
	}
}

func checkMetrics(t *testing.T, collector *receiver) {
	t.Helper()
	received := make(map[string]*metrics.Metric)
	for _, s := range collector.metrics {
		if s.Scope.Name == scope && s.Scope.Version != "" {
			for _, m := range s.Metrics {
				received[m.Name] = m
			}
		}
	}
	number := func(metric, key, value string, more ...string) int64 {
		t.Helper()
		for _, p := range received[metric].GetSum().GetDataPoints() {
			attrs := attributes(p.Attributes)
			if attrs[key] == value && (len(more) == 0 || attrs[more[0]] == more[1]) {
				return p.GetAsInt()
			}
		}
		t.Errorf("%s with %s=%s was not received", metric, key, value)
		return 0
	}
	for _, test := range []struct {
		what      string
		got, want int64
	}{
		{"first attempts that failed", number("holdfast.attempts", "holdfast.attempt.kind", "initial", "holdfast.attempt.outcome", "failure"), 2},
		{"retries that failed", number("holdfast.attempts", "holdfast.attempt.kind", "retry", "holdfast.attempt.outcome", "failure"), 1},
		{"retries that succeeded", number("holdfast.attempts", "holdfast.attempt.kind", "retry", "holdfast.attempt.outcome", "success"), 1},
		{"retries not made", number("holdfast.retry.suppressed", "holdfast.suppress.reason", "not_retryable"), 1},
		{"refusals", number("holdfast.rejections", "holdfast.reject.reason", "forced_open"), 1},
		{"transitions", number("holdfast.breaker.transitions", "holdfast.breaker.state", "forced_open"), 1},
		{"breakers forced open", number("holdfast.breaker.status", "holdfast.breaker.state", "forced_open"), 1},
		{"breakers closed", number("holdfast.breaker.status", "holdfast.breaker.state", "closed"), 0},
	} {
		if test.got != test.want {
			t.Errorf("%s: %d, want %d", test.what, test.got, test.want)
		}
	}
	if !received["holdfast.attempts"].GetSum().GetIsMonotonic() || received["holdfast.breaker.status"].GetSum().GetIsMonotonic() {
		t.Error("a counter goes only up, a status up and down")
	}
	if len(received["holdfast.breaker.failure_ratio"].GetGauge().GetDataPoints()) != 1 {
		t.Error("no failure ratio")
	}
	durations := make(map[string]uint64)
	for _, p := range received["holdfast.call.duration"].GetHistogram().GetDataPoints() {
		attrs := attributes(p.Attributes)
		durations[attrs["holdfast.policy.type"]+" "+attrs["holdfast.call.outcome"]] += p.Count
		if len(p.ExplicitBounds) != 14 {
			t.Errorf("bounds of the histogram: %v", p.ExplicitBounds)
		}
	}
	if want := map[string]uint64{"retry success": 1, "retry failure": 1, "breaker success": 1, "breaker failure": 2, "breaker refused": 1}; !maps.Equal(durations, want) {
		t.Errorf("durations of %v, want %v", durations, want)
	}
	if unit := received["holdfast.call.duration"].GetUnit(); unit != "s" {
		t.Errorf("durations in %q, want s", unit)
	}
}
