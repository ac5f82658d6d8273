package telemetry_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/telemetry"
	"github.com/holdfast-go/holdfast/retry"
)

// TestActiveAllocations: whatever is installed, the question of the hot path makes no allocation.
func TestActiveAllocations(t *testing.T) {
	if alone(t) {
		return
	}
	s := telemetry.NewScope(telemetry.Options{})
	check := func(when string, want bool) {
		t.Helper()
		ctx := t.Context()
		if n := testing.AllocsPerRun(1000, func() {
			if s.Active(ctx) != want {
				t.Fail()
			}
		}); n != 0 || t.Failed() {
			t.Errorf("%s: %v allocations; or not %v", when, n, want)
		}
	}
	check("nothing installed", false)
	record(t).install()
	check("an SDK", true)
}

// TestPolicyAllocations: a call through a policy whose span nobody keeps costs no allocation, though an SDK is there.
func TestPolicyAllocations(t *testing.T) {
	r := record(t)
	s := telemetry.NewScope(telemetry.Options{TracerProvider: r.tracer})
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		_, call := s.StartPolicy(ctx, true)
		call.End(ctx, telemetry.Success, nil, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDurationAllocations: a duration costs that of the Call and no other, also of a call that fails as the last did.
func TestDurationAllocations(t *testing.T) {
	r := record(t)
	s := telemetry.NewScope(telemetry.Options{MeterProvider: r.meter})
	telemetry.Attach(s, new(source))
	ctx := t.Context()
	for _, o := range []telemetry.Outcome{telemetry.Success, telemetry.Refused} {
		var err error
		if o != telemetry.Success {
			err = typed{}
		}
		if n := testing.AllocsPerRun(1000, func() {
			_, call := s.StartPolicy(ctx, true)
			call.End(ctx, o, err, 0)
		}); n > 1 {
			t.Errorf("%v: %v allocations", o, n)
		}
	}
}

// BenchmarkActive/nothing is to be at most 15 ns.
func BenchmarkActive(b *testing.B) {
	ctx := context.Background()
	b.Run("nothing", func(b *testing.B) {
		s := telemetry.NewScope(telemetry.Options{})
		b.ReportAllocs()
		for b.Loop() {
			if s.Active(ctx) {
				b.Fatal("active")
			}
		}
	})
	b.Run("given", func(b *testing.B) {
		r := record(b)
		s := telemetry.NewScope(telemetry.Options{TracerProvider: r.tracer, MeterProvider: r.meter})
		p := new(source)
		telemetry.Attach(s, p)
		b.ReportAllocs()
		for b.Loop() {
			if !s.Active(ctx) {
				b.Fatal("not active")
			}
		}
	})
}

// BenchmarkStack is retry(breaker(fn)): without an SDK, with one that drops every trace, and with more of it.
func BenchmarkStack(b *testing.B) {
	recorded := func() *recorder {
		r := record(b)
		r.tracer = sdktrace.NewTracerProvider() // samples everything, and keeps nothing
		return r
	}
	run := func(b *testing.B, rc retry.Config, bc breaker.Config) {
		p, br := retry.MustNew(rc), breaker.MustNew(bc)
		call := retry.Wrap(p, breaker.Wrap(br, func(context.Context, int) (int, error) { return 1, nil }))
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := call(ctx, 1); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("none", func(b *testing.B) { run(b, retry.Config{}, breaker.Config{}) })
	b.Run("dropped", func(b *testing.B) {
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
		run(b, retry.Config{TracerProvider: tracer}, breaker.Config{TracerProvider: tracer})
	})
	b.Run("durations", func(b *testing.B) {
		r := recorded()
		run(b, retry.Config{MeterProvider: r.meter}, breaker.Config{MeterProvider: r.meter})
	})
	b.Run("dropped,durations", func(b *testing.B) {
		r := recorded()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
		run(b, retry.Config{TracerProvider: tracer, MeterProvider: r.meter}, breaker.Config{TracerProvider: tracer, MeterProvider: r.meter})
	})
	b.Run("recorded,durations", func(b *testing.B) {
		r := recorded()
		run(b, retry.Config{TracerProvider: r.tracer, MeterProvider: r.meter}, breaker.Config{TracerProvider: r.tracer, MeterProvider: r.meter})
	})
}

// BenchmarkCollect is what a reader pays for a thousand breakers.
func BenchmarkCollect(b *testing.B) {
	r := record(b)
	var kept []*breaker.Breaker
	for range 1000 {
		kept = append(kept, breaker.MustNew(breaker.Config{Name: "users", MeterProvider: r.meter}))
	}
	b.ReportAllocs()
	for b.Loop() {
		if r.metrics()[statusOf("users", "closed")] != float64(len(kept)) {
			b.Fatal("not all report")
		}
	}
}
