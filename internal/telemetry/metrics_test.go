package telemetry_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"weak"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/telemetry"
	"github.com/holdfast-go/holdfast/retry"
)

// histogram returns the durations of one collection.
func (r *recorder) histogram() (h metricdata.Histogram[float64]) {
	r.t.Helper()
	for _, m := range r.collect() {
		if m.Name == "holdfast.call.duration" {
			h = m.Data.(metricdata.Histogram[float64])
		}
	}
	return h
}

// TestInstruments: names, units, kinds and bounds are what dashboards are made of.
func TestInstruments(t *testing.T) {
	r := record(t)
	budget, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	p := r.retry(t, retry.Config{Budget: budget})
	b := r.breaker(t, breaker.Config{})
	_ = p.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, results()) })

	got := make(map[string][2]string)
	for _, m := range r.collect() {
		kind := ""
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			kind = "up-down counter"
			if data.IsMonotonic {
				kind = "counter"
			}
		case metricdata.Gauge[float64]:
			kind = "gauge"
		case metricdata.Histogram[float64]:
			kind = "histogram"
		}
		got[m.Name] = [2]string{kind, m.Unit}
		if m.Description == "" {
			t.Errorf("%s has no description", m.Name)
		}
	}
	want := map[string][2]string{
		"holdfast.call.duration":         {"histogram", "s"},
		"holdfast.attempts":              {"counter", "{attempt}"},
		"holdfast.rejections":            {"counter", "{call}"},
		"holdfast.retry.suppressed":      {"counter", "{retry}"},
		"holdfast.budget.available":      {"gauge", "{token}"},
		"holdfast.breaker.status":        {"up-down counter", "1"},
		"holdfast.breaker.transitions":   {"counter", "{transition}"},
		"holdfast.breaker.failure_ratio": {"gauge", "1"},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s is a %v, want %v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d metrics, want %d: %v", len(got), len(want), got)
	}
	bounds := []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	if h := r.histogram(); len(h.DataPoints) != 2 || !slices.Equal(h.DataPoints[0].Bounds, bounds) {
		t.Errorf("bounds of the histogram: %v", h.DataPoints)
	}
	runtime.KeepAlive(p)
	runtime.KeepAlive(b)
}

// TestScope: one scope with its version, for spans and metrics.
func TestScope(t *testing.T) {
	r := record(t)
	p := r.retry(t, retry.Config{})
	_ = p.Run(t.Context(), results())
	want := instrumentation.Scope{Name: telemetry.ScopeName, Version: telemetry.Version}
	for _, s := range r.kept.Ended() {
		if s.InstrumentationScope() != want {
			t.Errorf("span %s: scope %v", s.Name(), s.InstrumentationScope())
		}
	}
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	if len(rm.ScopeMetrics) != 1 || rm.ScopeMetrics[0].Scope != want {
		t.Errorf("metrics: scopes %+v", rm.ScopeMetrics)
	}
	if want.Name != "github.com/holdfast-go/holdfast" || want.Version == "" {
		t.Errorf("scope %+v", want)
	}
}

// TestPoliciesOfOneName sum up, and so does a policy beside a keyed set.
func TestPoliciesOfOneName(t *testing.T) {
	r := record(t)
	var kept []any
	for range 2 {
		p, b := r.retry(t, retry.Config{Name: "payments", MaxAttempts: 1}), r.breaker(t, breaker.Config{Name: "hosts", ConsecutiveFailures: 1})
		for range 3 {
			_ = p.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, results(errBoom)) })
		}
		kept = append(kept, p, b)
	}
	k := r.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts"}})
	k.Get("a")
	got := r.metrics()
	for series, want := range map[string]float64{
		attempts + "initial holdfast.attempt.outcome=failure holdfast.policy.name=payments}": 6,
		rejections("hosts", "open"):    4,
		statusOf("hosts", "open"):      2,
		statusOf("hosts", "closed"):    1,
		transitionsTo("hosts", "open"): 2,
	} {
		if got[series] != want {
			t.Errorf("%s = %v, want %v", series, got[series], want)
		}
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(k)
}

// source is a policy that tells when it is collected as garbage.
type source struct{ _ [64]byte }

func (*source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	put(telemetry.Attempts, 1)
}

// TestDroppedPolicy is neither kept alive nor reported, others are.
func TestDroppedPolicy(t *testing.T) {
	r := record(t)
	stays := r.breaker(t, breaker.Config{Name: "stays"})
	gone := func() weak.Pointer[retry.Policy] {
		p := r.retry(t, retry.Config{Name: "goes"})
		_ = p.Run(t.Context(), results())
		wantValues(t, r.metrics(), map[string]float64{
			duration + "holdfast.call.outcome=success holdfast.policy.name=goes holdfast.policy.type=retry}": 1,
		})
		if n := len(r.metrics()); n <= len(breakerSeries("stays", "closed"))+1 {
			t.Errorf("only %d series while it is there", n)
		}
		return weak.Make(p)
	}()
	runtime.GC()
	if gone.Value() != nil {
		t.Error("the policy is kept alive")
	}
	got := r.metrics()
	if _, ok := got[attempts+"initial holdfast.attempt.outcome=success holdfast.policy.name=goes}"]; ok {
		t.Error("the policy is still reported")
	}
	wantValues(t, got, breakerSeries("stays", "closed"))
	runtime.KeepAlive(stays)
}

// TestManyDroppedPolicies: the list of policies does not grow with those that are gone.
func TestManyDroppedPolicies(t *testing.T) {
	r := record(t)
	s := telemetry.NewScope(telemetry.Options{MeterProvider: r.meter})
	stays := new(source)
	telemetry.Attach(s, stays)
	for range 100 {
		for range 100 {
			telemetry.Attach(s, new(source))
		}
		runtime.GC()
	}
	if n := s.Listed(); n > 1000 {
		t.Errorf("%d policies are listed, and one is there", n)
	}
	if v := r.metrics()["holdfast.attempts{holdfast.policy.name=}"]; v != 1 {
		t.Errorf("%v policies report, want 1", v)
	}
	runtime.KeepAlive(stays)
}

// registrations counts the callbacks that are registered with a provider.
type registrations struct {
	metric.MeterProvider
	now chan int // one element: how many
	_   []string // makes the type uncomparable where it is not used through a pointer
}

type countingMeter struct {
	metric.Meter
	now chan int
}

type countedRegistration struct {
	metric.Registration
	now chan int
}

func counting(p metric.MeterProvider) *registrations {
	r := &registrations{MeterProvider: p, now: make(chan int, 1)}
	r.now <- 0
	return r
}

func (r registrations) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return countingMeter{r.MeterProvider.Meter(name, opts...), r.now}
}

func (m countingMeter) RegisterCallback(f metric.Callback, on ...metric.Observable) (metric.Registration, error) {
	m.now <- <-m.now + 1
	reg, err := m.Meter.RegisterCallback(f, on...)
	return countedRegistration{reg, m.now}, err
}

func (r countedRegistration) Unregister() error {
	r.now <- <-r.now - 1
	return r.Registration.Unregister()
}

func (r registrations) count() int {
	n := <-r.now
	r.now <- n
	return n
}

// TestGivenProvider: one callback for all of its policies, and when the last is gone, none, and the provider can go.
func TestGivenProvider(t *testing.T) {
	for name, share := range map[string]func(*registrations) metric.MeterProvider{
		"comparable":   func(r *registrations) metric.MeterProvider { return r },
		"uncomparable": func(r *registrations) metric.MeterProvider { return *r },
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			counted := counting(r.meter)
			func() {
				var kept []*breaker.Breaker
				for range 3 {
					b, err := breaker.New(breaker.Config{Name: "users", MeterProvider: share(counted)})
					if err != nil {
						t.Fatal(err)
					}
					kept = append(kept, b)
				}
				if v := r.metrics()[statusOf("users", "closed")]; v != 3 {
					t.Errorf("%v breakers are closed, want 3", v)
				}
				if n := counted.count(); n != 1 && name == "comparable" {
					t.Errorf("%d callbacks, want 1", n)
				}
				runtime.KeepAlive(kept)
			}()
			eventually(t, "the callbacks are still there", func() bool { return counted.count() == 0 })
			provider := weak.Make(counted)
			counted = nil
			eventually(t, "the provider is kept alive", func() bool { return provider.Value() == nil })
		})
	}
}

// eventually waits for what happens after a garbage collection, in a goroutine of the runtime's.
func eventually(t *testing.T, otherwise string, happened func() bool) {
	t.Helper()
	for range 1000 {
		runtime.GC()
		if happened() {
			return
		}
		runtime.Gosched()
	}
	t.Error(otherwise)
}

// TestGivenProviderAgain: a provider whose policies were all gone serves new ones.
func TestGivenProviderAgain(t *testing.T) {
	r := record(t)
	for range 20 {
		b := r.breaker(t, breaker.Config{Name: "users"})
		if v := r.metrics()[statusOf("users", "closed")]; v != 1 {
			t.Fatalf("%v breakers are closed, want 1", v)
		}
		_ = b.Run(t.Context(), results())
		runtime.KeepAlive(b)
		b = nil
		runtime.GC()
	}
	if h := r.histogram(); len(h.DataPoints) != 1 || h.DataPoints[0].Count != 20 {
		t.Errorf("durations: %+v", h.DataPoints)
	}
}

// TestViewThatDrops: durations that a view drops are not taken.
func TestViewThatDrops(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(
		sdkmetric.NewView(sdkmetric.Instrument{Name: "holdfast.*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})))
	s := telemetry.NewScope(telemetry.Options{MeterProvider: provider})
	p := new(source)
	telemetry.Attach(s, p)
	if s.Timed(t.Context()) {
		t.Error("durations are wanted")
	}
	runtime.KeepAlive(p)
}
