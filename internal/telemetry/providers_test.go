package telemetry_test

import (
	"context"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/telemetry"
	"github.com/holdfast-go/holdfast/retry"
)

// The tests here set the global providers. Each runs in a process of its own: see alone.

func (r *recorder) install() *recorder {
	otel.SetTracerProvider(r.tracer)
	otel.SetMeterProvider(r.meter)
	return r
}

// follow is install, after which the policies have found the SDK and moved their metrics there.
func (r *recorder) follow() *recorder {
	r.t.Helper()
	r.install()
	telemetry.Follow(context.Background(), true)
	return r
}

var (
	attempted = "attempt payments Unset {holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=success}"
	called    = []string{"retry payments Unset {holdfast.call.attempts=1 " + succeeded + "}", "  " + attempted}
	timed     = duration + "holdfast.call.outcome=success " + callOf + "}"
	counted   = attempts + "initial holdfast.attempt.outcome=success holdfast.policy.name=payments}"
)

// TestOtelDefault pins what the package assumes of otel: its default providers are pointers to types of its package
// internal/global. If this fails, policies start spans when nothing is installed, which costs, and loses nothing.
func TestOtelDefault(t *testing.T) {
	if alone(t) {
		return
	}
	for _, provider := range []any{otel.GetTracerProvider(), otel.GetMeterProvider()} {
		of := reflect.TypeOf(provider)
		if of.Kind() != reflect.Pointer || of.Elem().PkgPath() != "go.opentelemetry.io/otel/internal/global" {
			t.Errorf("otel's default provider is a %v of package %q", of, of.Elem().PkgPath())
		}
	}
	if telemetry.NewScope(telemetry.Options{}).Active(t.Context()) {
		t.Error("otel's default providers count as something installed")
	}
}

// TestNothingInstalled: policies follow what is installed, and noop providers are nothing.
func TestNothingInstalled(t *testing.T) {
	if alone(t) {
		return
	}
	active := func(o telemetry.Options) bool { return telemetry.NewScope(o).Active(t.Context()) }
	if active(telemetry.Options{}) {
		t.Error("active without an SDK")
	}
	if active(telemetry.Options{TracerProvider: otel.GetTracerProvider(), MeterProvider: otel.GetMeterProvider()}) {
		t.Error("active with the default providers given")
	}
	if active(telemetry.Options{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()}) {
		t.Error("active with noop providers given")
	}
	follows := telemetry.NewScope(telemetry.Options{})
	attached := new(source)
	telemetry.Attach(follows, attached)
	check := func(what string) {
		t.Helper()
		if follows.Active(t.Context()) || active(telemetry.Options{}) {
			t.Errorf("active with %s", what)
		}
		ctx, call := follows.StartCall(t.Context())
		if ctx != t.Context() || call != nil {
			t.Errorf("a call is recorded with %s", what)
		}
	}
	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	check("a noop tracer provider")
	otel.SetMeterProvider(metricnoop.NewMeterProvider())
	check("noop providers")
	otel.SetTracerProvider(&tracenoop.TracerProvider{})
	otel.SetMeterProvider(&metricnoop.MeterProvider{})
	check("pointers to noop providers")
	otel.SetTracerProvider(nil)
	otel.SetMeterProvider(nil)
	check("nil providers")
	record(t).install()
	if !follows.Active(t.Context()) {
		t.Error("not active with an SDK")
	}
	runtime.KeepAlive(attached)
}

// TestSDKSetLater: a policy made before reports from the next call on; its metrics without any call.
func TestSDKSetLater(t *testing.T) {
	if alone(t) {
		return
	}
	p := retry.MustNew(retry.Config{Name: "payments", TracerProvider: otel.GetTracerProvider(), MeterProvider: otel.GetMeterProvider()})
	b := breaker.MustNew(breaker.Config{Name: "users"})
	_ = p.Run(t.Context(), results())
	_ = b.Run(t.Context(), results())

	r := record(t).install()
	got := r.metrics()
	if got[counted] != 1 || got[statusOf("users", "closed")] != 1 {
		t.Errorf("before any call under the SDK: %v", got)
	}
	wantValues(t, got, breakerSeries("users", "closed"))

	_ = p.Run(t.Context(), results())
	wantLines(t, r.spans(), called...)
	got = r.metrics()
	if got[counted] != 2 || got[timed] != 1 || got[statusOf("users", "closed")] != 1 {
		t.Errorf("after the first call under the SDK: %v", got)
	}
	runtime.KeepAlive(b)
}

// TestOnlyTracesOrMetrics: an application may install one of the two.
func TestOnlyTracesOrMetrics(t *testing.T) {
	if alone(t) {
		return
	}
	p := retry.MustNew(retry.Config{Name: "payments"})
	r := record(t)
	otel.SetTracerProvider(r.tracer)
	_ = p.Run(t.Context(), results())
	wantLines(t, r.spans(), called...)
	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	otel.SetMeterProvider(r.meter)
	_ = p.Run(t.Context(), results())
	wantLines(t, r.spans(), called...)
	if got := r.metrics(); got[timed] != 1 || got[counted] != 2 {
		t.Error(got)
	}
}

// TestSDKReplaced: what comes later goes to the new SDK, and nothing to both.
func TestSDKReplaced(t *testing.T) {
	if alone(t) {
		return
	}
	// The default providers, kept in a Config, mean the global ones: not only the SDK that they forward to.
	p := retry.MustNew(retry.Config{Name: "payments", TracerProvider: otel.GetTracerProvider(), MeterProvider: otel.GetMeterProvider()})
	for i := range 3 {
		r := record(t).follow()
		_ = p.Run(t.Context(), results())
		wantLines(t, r.spans(), called...)
		if got := r.metrics(); got[counted] != float64(i+1) || got[timed] != 1 {
			t.Errorf("SDK %d: %v", i, got)
		}
		next := record(t).follow()
		_ = p.Run(t.Context(), results())
		wantLines(t, r.spans(), called...)
		if got := r.metrics(); len(got) != 1 || got[timed] != 1 {
			t.Errorf("SDK %d, after it was replaced: %v", i, got)
		}
		if got := next.metrics(); got[counted] != float64(i+2) || got[timed] != 1 {
			t.Errorf("the SDK after %d: %v", i, got)
		}
		r.follow() // and back to one that is known
		_ = p.Run(t.Context(), results())
		if got := r.metrics(); got[counted] != float64(i+3) || got[timed] != 2 {
			t.Errorf("SDK %d, after it came back: %v", i, got)
		}
		p = retry.MustNew(retry.Config{Name: "payments"})
		for range i + 1 {
			_ = p.Run(context.Background(), results())
		}
		runtime.GC()
	}
}

// TestPolicyAfterReplacement: a policy that is made under the new SDK is reported there before its first call, and so
// are the others.
func TestPolicyAfterReplacement(t *testing.T) {
	if alone(t) {
		return
	}
	before := breaker.MustNew(breaker.Config{Name: "users"})
	old := record(t).install()
	_ = before.Run(t.Context(), results())
	r := record(t).install()
	after := breaker.MustNew(breaker.Config{Name: "hosts"})
	wantValues(t, r.metrics(), func() map[string]float64 {
		want := breakerSeries("users", "closed")
		for series, v := range breakerSeries("hosts", "closed") {
			want[series] = v
		}
		return want
	}())
	if got := old.metrics(); len(got) != 1 {
		t.Errorf("the old SDK has %v", got)
	}
	runtime.KeepAlive(before)
	runtime.KeepAlive(after)
}

// TestDefaultPutBack: otel's default provider forwards to the first SDK for ever. Who puts it back, as a test does that
// cleans up, has not uninstalled that.
func TestDefaultPutBack(t *testing.T) {
	if alone(t) {
		return
	}
	original := otel.GetTracerProvider()
	p := retry.MustNew(retry.Config{Name: "payments"})
	r := record(t)
	otel.SetTracerProvider(r.tracer)
	_ = p.Run(t.Context(), results())
	otel.SetTracerProvider(original)
	_ = p.Run(t.Context(), results())
	wantLines(t, r.spans(), append(called, called...)...)
}

// TestDefaultMetersPutBack is that of metrics.
func TestDefaultMetersPutBack(t *testing.T) {
	if alone(t) {
		return
	}
	original := otel.GetMeterProvider()
	p := retry.MustNew(retry.Config{Name: "payments"})
	r := record(t)
	for i, provider := range []metric.MeterProvider{r.meter, original, r.meter} {
		otel.SetMeterProvider(provider)
		_ = p.Run(t.Context(), results())
		if got, n := r.metrics(), float64(i+1); got[counted] != n || got[timed] != n {
			t.Errorf("after %v calls: %v", n, got)
		}
	}
}

// TestGivenAndGlobal: providers in the Config go before the global ones, each of the two by itself.
func TestGivenAndGlobal(t *testing.T) {
	if alone(t) {
		return
	}
	global, given := record(t).install(), record(t)
	both := retry.MustNew(retry.Config{Name: "payments", TracerProvider: given.tracer, MeterProvider: given.meter})
	_ = both.Run(t.Context(), results())
	wantLines(t, global.spans())
	wantLines(t, given.spans(), called...)
	if got := given.metrics(); got[counted] != 1 || got[timed] != 1 {
		t.Error(got)
	}
	if got := global.metrics(); len(got) != 0 {
		t.Errorf("the global provider has %v", got)
	}

	mixed := retry.MustNew(retry.Config{Name: "payments", MeterProvider: given.meter})
	_ = mixed.Run(t.Context(), results())
	wantLines(t, global.spans(), called...)
	if got := given.metrics(); got[counted] != 2 || got[timed] != 2 {
		t.Error(got)
	}
	silent := retry.MustNew(retry.Config{Name: "payments", TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()})
	_ = silent.Run(t.Context(), results())
	wantLines(t, global.spans(), called...)
	if got := given.metrics(); got[timed] != 2 {
		t.Error(got)
	}
	runtime.KeepAlive(both)
	runtime.KeepAlive(mixed)
}

// uncomparable providers panic when two of them are compared.
type uncomparableTracers struct {
	trace.TracerProvider
	_ []int
}

type uncomparableMeters struct {
	metric.MeterProvider
	_ []int
}

// TestUncomparableProvider: given, global, and replaced by another of its type.
func TestUncomparableProvider(t *testing.T) {
	if alone(t) {
		return
	}
	r := record(t)
	tracers, meters := uncomparableTracers{TracerProvider: r.tracer}, uncomparableMeters{MeterProvider: r.meter}
	given := retry.MustNew(retry.Config{Name: "payments", TracerProvider: tracers, MeterProvider: meters})
	for range 2 {
		_ = given.Run(t.Context(), results())
	}
	wantLines(t, r.spans(), append(called, called...)...)
	if got := r.metrics(); got[counted] != 2 || got[timed] != 2 {
		t.Error(got)
	}

	r = record(t)
	otel.SetTracerProvider(uncomparableTracers{TracerProvider: r.tracer})
	otel.SetMeterProvider(uncomparableMeters{MeterProvider: r.meter})
	global := retry.MustNew(retry.Config{Name: "payments"})
	_ = global.Run(t.Context(), results())
	wantLines(t, r.spans(), called...)
	otel.SetTracerProvider(uncomparableTracers{TracerProvider: r.tracer})
	otel.SetMeterProvider(uncomparableMeters{MeterProvider: r.meter})
	_ = global.Run(t.Context(), results())
	wantLines(t, r.spans(), append(called, called...)...)
	if got := r.metrics(); got[counted] != 2 || got[timed] != 2 {
		t.Error(got)
	}
	runtime.KeepAlive(given)
}

// TestCallInCollection: an application's own callback, which the SDK runs under its pipeline's lock, may make policies
// and call through them, also if it is the first to do so since the SDK was set. Others do not wait for it.
func TestCallInCollection(t *testing.T) {
	if alone(t) {
		return
	}
	p := retry.MustNew(retry.Config{Name: "payments"})
	inCallback := func(of metric.MeterProvider, do func(context.Context)) {
		t.Helper()
		var once sync.Once
		_, err := of.Meter("app").Int64ObservableGauge("app.queue", metric.WithInt64Callback(func(ctx context.Context, _ metric.Int64Observer) error {
			once.Do(func() { do(ctx) })
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	var calls atomic.Int64
	run := func(ctx context.Context) {
		calls.Add(1)
		_ = p.Run(ctx, results())
	}
	call := func(ctx context.Context) {
		run(ctx)
		var others sync.WaitGroup
		for range 3 {
			others.Go(func() { run(ctx) })
		}
		others.Wait()
	}
	var made []any
	construct := func(given metric.MeterProvider) func(context.Context) {
		return func(ctx context.Context) {
			for range 20 {
				b := breaker.MustNew(breaker.Config{Name: "users", MeterProvider: given})
				_ = b.Run(ctx, results())
				made = append(made, b)
			}
		}
	}
	for _, row := range []struct {
		what string
		do   func(context.Context)
	}{
		{"a call under the first SDK", call},
		{"a call under the second", call},
		{"a policy made under the third", construct(nil)},
		{"a call under the fourth", call},
	} {
		r := record(t)
		inCallback(r.meter, row.do)
		otel.SetMeterProvider(r.meter)
		within(t, row.what, func() {
			r.metrics()
			telemetry.Follow(t.Context(), false)
		})
		run(t.Context())
		if got := r.metrics(); got[timed] < 1 || got[counted] != float64(calls.Load()) {
			t.Errorf("%s: %v timed, %v counted, want %v", row.what, got[timed], got[counted], calls.Load())
		}
	}

	r := record(t)
	inCallback(r.meter, construct(r.meter))
	within(t, "a policy made with a provider that collects", func() {
		for r.metrics()[statusOf("users", "closed")] != 20 {
			runtime.Gosched()
		}
	})
	runtime.KeepAlive(made)
}

// TestReplacedWhileMoving: while one SDK's collection holds the metrics up on their way to it, others take its place.
// They end at the last, registered once, whoever is asked for them; and nobody waits.
func TestReplacedWhileMoving(t *testing.T) {
	if alone(t) {
		return
	}
	p := retry.MustNew(retry.Config{Name: "payments"})
	calls := 0.0
	call := func() {
		calls++
		_ = p.Run(t.Context(), results())
	}
	all := []*recorder{record(t).install()}
	call()

	slow := record(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	if _, err := slow.meter.Meter("app").Int64ObservableGauge("app.queue", metric.WithInt64Callback(func(context.Context, metric.Int64Observer) error {
		once.Do(func() {
			close(entered)
			<-leave
		})
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	var collection sync.WaitGroup
	collection.Go(func() { slow.metrics() })
	<-entered
	all = append(all, slow.install())
	var last *breaker.Breaker
	within(t, "calls and new policies while an SDK is busy", func() {
		call() // begins the move to slow
		for range 5 {
			all = append(all, record(t).install())
			call()
			last = breaker.MustNew(breaker.Config{Name: "users"})
			runtime.GC()
		}
	})
	close(leave)
	within(t, "the end", func() {
		collection.Wait()
		telemetry.Follow(t.Context(), false)
	})
	call()
	for i, r := range all[:len(all)-1] {
		if got := r.metrics(); got[counted] != 0 || i > 0 && got[timed] != 0 {
			t.Errorf("SDK %d, which is replaced, has %v", i, got)
		}
	}
	got := all[len(all)-1].metrics()
	if got[counted] != calls || got[timed] != 1 || got[statusOf("users", "closed")] < 1 {
		t.Errorf("%v counted, want %v; %v timed; %v", got[counted], calls, got[timed], got)
	}
	runtime.KeepAlive(last)
}

// TestReplacedAgainAndAgain: however many SDKs come, the metrics are registered once with the last, and with no other.
func TestReplacedAgainAndAgain(t *testing.T) {
	if alone(t) {
		return
	}
	var total atomic.Int64
	p := retry.MustNew(retry.Config{Name: "payments"})
	var all []*registrations
	for range 20 {
		r := counting(record(t).meter)
		all = append(all, r)
		otel.SetMeterProvider(r)
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for range 50 {
					_ = p.Run(t.Context(), results())
					total.Add(1)
				}
			})
		}
		callers.Wait()
	}
	end := record(t)
	last := counting(end.meter)
	otel.SetMeterProvider(last)
	_ = p.Run(t.Context(), results())
	within(t, "the last move", func() { telemetry.Follow(t.Context(), false) })
	for i, r := range all {
		if n := r.count(); n != 0 {
			t.Errorf("%d callbacks are left at SDK %d", n, i)
		}
	}
	if n := last.count(); n != 1 {
		t.Errorf("%d callbacks at the last SDK", n)
	}
	if got := end.metrics(); got[counted] != float64(total.Load()+1) {
		t.Errorf("%v calls are counted, want %v", got[counted], total.Load()+1)
	}
}

// TestReplacedInBubble: a test of an application may set its providers in a bubble, and call in a collection there. The
// goroutine that moves the metrics is in the bubble, what it works on is not.
func TestReplacedInBubble(t *testing.T) {
	if alone(t) {
		return
	}
	p := retry.MustNew(retry.Config{Name: "payments"})
	record(t).install()
	_ = p.Run(t.Context(), results())
	for i := range 3 {
		r := record(t)
		within(t, "a bubble", func() {
			synctest.Test(t, func(t *testing.T) {
				var once sync.Once
				if _, err := r.meter.Meter("app").Int64ObservableGauge("app.queue", metric.WithInt64Callback(func(ctx context.Context, _ metric.Int64Observer) error {
					once.Do(func() { _ = retry.MustNew(retry.Config{Name: "inner"}).Run(ctx, results()) })
					return nil
				})); err != nil {
					t.Fatal(err)
				}
				r.install().metrics()
				synctest.Wait()
				_ = p.Run(t.Context(), results())
				if got := r.metrics(); got[counted] != float64(i+2) || got[timed] != 1 {
					t.Errorf("bubble %d: %v", i, got)
				}
			})
		})
	}
}

// TestCollectionsBesideEverything: no order of locks is wrong, and at the end everything is counted once. SDKs come and
// go while policies are made, called and dropped, and readers collect.
func TestCollectionsBesideEverything(t *testing.T) {
	if alone(t) {
		return
	}
	const rounds = 200
	given := record(t)
	k := given.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts", ConsecutiveFailures: 1}, MaxKeys: 4})
	p := retry.MustNew(retry.Config{Name: "payments"})
	last := record(t)
	var present atomic.Pointer[recorder]
	present.Store(last)
	work := []func(i int){
		func(int) { _ = p.Run(context.Background(), results()) },
		func(i int) {
			b := k.Get(strconv.Itoa(i))
			_ = b.Run(context.Background(), results(errBoom))
			_ = b.Run(context.Background(), results())
		},
		func(int) { _ = breaker.MustNew(breaker.Config{}).Run(context.Background(), results()) },
		func(int) {
			_ = breaker.MustNew(breaker.Config{MeterProvider: sdkmetric.NewMeterProvider()}).Run(context.Background(), results())
		},
		func(i int) {
			if i%10 == 0 {
				present.Store(record(t).install())
				runtime.GC()
			}
		},
		func(int) { given.metrics() },
		func(int) { present.Load().metrics() },
	}
	within(t, "all at once", func() {
		var all sync.WaitGroup
		for _, do := range work {
			all.Go(func() {
				for i := range rounds {
					do(i)
				}
			})
		}
		all.Go(func() { // one SDK comes back again and again
			for range rounds {
				last.install().metrics()
			}
		})
		all.Wait()
	})
	last.follow()
	_ = p.Run(t.Context(), results())
	if got := last.metrics(); got[counted] != rounds+1 {
		t.Errorf("%v attempts are reported, want %d", got[counted], rounds+1)
	}
	if got := given.metrics(); got[rejections("hosts", "open")] != rounds {
		t.Errorf("%v rejections are reported, want %d", got[rejections("hosts", "open")], rounds)
	}
	runtime.KeepAlive(k)
}
