package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// recorder is an SDK that keeps what it is told.
type recorder struct {
	t      testing.TB
	kept   *tracetest.SpanRecorder
	tracer *sdktrace.TracerProvider
	reader *sdkmetric.ManualReader
	meter  *sdkmetric.MeterProvider
}

func record(t testing.TB, opts ...sdktrace.TracerProviderOption) *recorder {
	r := &recorder{t: t, kept: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	r.tracer = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(r.kept))...)
	r.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	return r
}

// caller starts the span of somebody who calls a policy.
func (r *recorder) caller(ctx context.Context) (context.Context, trace.Span) {
	return r.tracer.Tracer("caller").Start(ctx, "caller")
}

// spans renders what has ended as a tree, children in the order in which they started, one line a span:
//
//	name status {attributes, sorted} -> name of the linked span
//
// What must not be there (another kind, an event) is rendered too.
func (r *recorder) spans() []string {
	ended := r.kept.Ended()
	slices.SortStableFunc(ended, func(a, b sdktrace.ReadOnlySpan) int { return r.started(a) - r.started(b) })
	known := make(map[trace.SpanID]string)
	for _, s := range ended {
		known[s.SpanContext().SpanID()] = s.Name()
	}
	var lines []string
	var under func(parent trace.SpanID, indent string)
	under = func(parent trace.SpanID, indent string) {
		for _, s := range ended {
			if id := s.Parent().SpanID(); id == parent || known[id] == "" && !parent.IsValid() {
				lines = append(lines, indent+line(s, known))
				under(s.SpanContext().SpanID(), indent+"  ")
			}
		}
	}
	under(trace.SpanID{}, "")
	return lines
}

// started is the place of s among all spans that started; equal times do not tell.
func (r *recorder) started(s sdktrace.ReadOnlySpan) int {
	return slices.IndexFunc(r.kept.Started(), func(other sdktrace.ReadWriteSpan) bool {
		return other.SpanContext().SpanID() == s.SpanContext().SpanID()
	})
}

func line(s sdktrace.ReadOnlySpan, known map[trace.SpanID]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v", s.Name(), s.Status().Code)
	if s.Status().Code == codes.Error {
		fmt.Fprintf(&b, "(%s)", s.Status().Description)
	}
	fmt.Fprintf(&b, " {%s}", words(s.Attributes()))
	if s.SpanKind() != trace.SpanKindInternal {
		fmt.Fprintf(&b, " kind=%v", s.SpanKind())
	}
	for _, link := range s.Links() {
		fmt.Fprintf(&b, " -> %s", known[link.SpanContext.SpanID()])
	}
	for _, e := range s.Events() {
		fmt.Fprintf(&b, " event=%s", e.Name)
	}
	return b.String()
}

func words(attrs []attribute.KeyValue) string {
	set := attribute.NewSet(attrs...)
	var all []string
	for _, a := range set.ToSlice() {
		all = append(all, string(a.Key)+"="+a.Value.String())
	}
	return strings.Join(all, " ")
}

// collect returns the metrics of this library in one collection.
func (r *recorder) collect() []metricdata.Metrics {
	r.t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		r.t.Fatal(err)
	}
	var all []metricdata.Metrics
	for _, scope := range rm.ScopeMetrics {
		if scope.Scope.Name == "github.com/holdfast-go/holdfast" {
			all = append(all, scope.Metrics...)
		}
	}
	return all
}

// metrics are the values of one collection, by "name{attributes, sorted}"; of histograms the counts.
func (r *recorder) metrics() map[string]float64 {
	r.t.Helper()
	values := make(map[string]float64)
	for _, m := range r.collect() {
		put := func(attrs attribute.Set, v float64) { values[m.Name+"{"+words(attrs.ToSlice())+"}"] = v }
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				put(p.Attributes, float64(p.Value))
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				put(p.Attributes, p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				put(p.Attributes, float64(p.Count))
			}
		default:
			r.t.Errorf("%s: unexpected %T", m.Name, m.Data)
		}
	}
	return values
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantValues checks the series that want names, and that of the metrics in want there are no others.
func wantValues(t *testing.T, got, want map[string]float64) {
	t.Helper()
	names := make(map[string]bool)
	for series, v := range want {
		name, _, _ := strings.Cut(series, "{")
		names[name] = true
		if g, ok := got[series]; !ok {
			t.Errorf("%s is not there", series)
		} else if g != v {
			t.Errorf("%s = %v, want %v", series, g, v)
		}
	}
	for series, v := range got {
		name, _, _ := strings.Cut(series, "{")
		if _, ok := want[series]; !ok && names[name] {
			t.Errorf("%s = %v is there, and should not", series, v)
		}
	}
}

// alone runs a test in a process of its own, and reports whether this is not that process: then the test is done. The
// global providers belong to the process, and otel's default provider forwards to the first SDK for ever.
func alone(t *testing.T) (elsewhere bool) {
	t.Helper()
	const variable = "HOLDFAST_TEST_ALONE"
	if os.Getenv(variable) == t.Name() {
		return false
	}
	binary, err := os.Executable()
	if err != nil {
		t.Skip("cannot run itself: ", err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return true
}

// within fails the test if do has not returned after a while: it would hang for ever.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal(what + " hangs")
	}
}
