package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

func (r *recorder) breaker(t *testing.T, c breaker.Config) *breaker.Breaker {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	b, err := breaker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *recorder) keyed(t *testing.T, c breaker.KeyedConfig) *breaker.Keyed[string] {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	k, err := breaker.NewKeyed[string](c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const users = "holdfast.policy.name=users holdfast.policy.type=breaker}"

func TestBreakerSpans(t *testing.T) {
	tests := []struct {
		name   string
		config breaker.Config
		do     func(ctx context.Context, b *breaker.Breaker)
		want   []string // under the caller's
	}{
		{
			name: "a success",
			do:   func(ctx context.Context, b *breaker.Breaker) { _ = b.Run(ctx, results()) },
			want: []string{"  breaker users Unset {holdfast.breaker.state=closed holdfast.call.outcome=success " + users},
		},
		{
			name: "a failure",
			do:   func(ctx context.Context, b *breaker.Breaker) { _ = b.Run(ctx, results(typed{})) },
			want: []string{"  breaker users Error(quota) {error.type=quota holdfast.breaker.state=closed holdfast.call.outcome=failure " + users},
		},
		{
			name: "cancelled",
			do: func(ctx context.Context, b *breaker.Breaker) {
				ctx, cancel := context.WithCancel(ctx)
				_ = b.Run(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
			},
			want: []string{"  breaker users Unset {error.type=canceled holdfast.breaker.state=closed holdfast.call.outcome=canceled " + users},
		},
		{
			name: "a deadline",
			do: func(ctx context.Context, b *breaker.Breaker) {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				_ = b.Run(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			},
			want: []string{"  breaker users Error(timeout) {error.type=timeout holdfast.breaker.state=closed holdfast.call.outcome=failure " + users},
		},
		{
			name: "a panic",
			do: func(ctx context.Context, b *breaker.Breaker) {
				defer func() { _ = recover() }()
				_ = b.Run(ctx, func(context.Context) error { panic("boom") })
			},
			want: []string{"  breaker users Error(panic) {error.type=panic holdfast.breaker.state=closed holdfast.call.outcome=failure " + users},
		},
		{
			name:   "an error that is a success to Classify",
			config: breaker.Config{Classify: func(error) breaker.Outcome { return breaker.Success }},
			do:     func(ctx context.Context, b *breaker.Breaker) { _ = b.Run(ctx, results(errBoom)) },
			want:   []string{"  breaker users Unset {holdfast.breaker.state=closed holdfast.call.outcome=success " + users},
		},
		{
			name:   "opened, and refused",
			config: breaker.Config{ConsecutiveFailures: 1},
			do: func(ctx context.Context, b *breaker.Breaker) {
				_ = b.Run(ctx, results(errBoom))
				_ = b.Run(ctx, results())
			},
			want: []string{
				"  breaker users Error(_OTHER) {error.type=_OTHER holdfast.breaker.state=closed holdfast.call.outcome=failure " + users,
				"  breaker users Error(breaker_open) {error.type=breaker_open holdfast.breaker.state=open holdfast.call.outcome=refused " +
					"holdfast.policy.name=users holdfast.policy.type=breaker holdfast.reject.reason=open} -> breaker users",
			},
		},
		{
			name:   "a probe, and refused beside it",
			config: breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Second},
			do: func(ctx context.Context, b *breaker.Breaker) {
				_ = b.Run(ctx, results(errBoom))
				time.Sleep(time.Second)
				_ = b.Run(ctx, func(ctx context.Context) error { return b.Run(ctx, results()) })
			},
			want: []string{
				"  breaker users Error(_OTHER) {error.type=_OTHER holdfast.breaker.state=closed holdfast.call.outcome=failure " + users,
				"  breaker users Unset {error.type=breaker_half_open holdfast.breaker.state=half_open holdfast.call.outcome=ignored " + users,
				"    breaker users Error(breaker_half_open) {error.type=breaker_half_open holdfast.breaker.state=half_open holdfast.call.outcome=refused " +
					"holdfast.policy.name=users holdfast.policy.type=breaker holdfast.reject.reason=half_open} -> breaker users",
			},
		},
		{
			name: "refused by hand: nobody to link to",
			do: func(ctx context.Context, b *breaker.Breaker) {
				b.Force(breaker.ForcedOpen)
				_ = b.Run(ctx, results())
			},
			want: []string{
				"  breaker users Error(breaker_forced_open) {error.type=breaker_forced_open holdfast.breaker.state=forced_open holdfast.call.outcome=refused " +
					"holdfast.policy.name=users holdfast.policy.type=breaker holdfast.reject.reason=forced_open}",
			},
		},
		{
			name: "disabled",
			do: func(ctx context.Context, b *breaker.Breaker) {
				b.Force(breaker.Disabled)
				_ = b.Run(ctx, results())
			},
			want: []string{"  breaker users Unset {holdfast.breaker.state=disabled holdfast.call.outcome=success " + users},
		},
		{
			name: "shadow",
			do: func(ctx context.Context, b *breaker.Breaker) {
				b.Force(breaker.Shadow)
				_ = b.Run(ctx, results())
			},
			want: []string{"  breaker users Unset {holdfast.breaker.state=shadow holdfast.call.outcome=success " + users},
		},
		{
			name:   "no spans",
			config: breaker.Config{NoSpans: true, ConsecutiveFailures: 1},
			do: func(ctx context.Context, b *breaker.Breaker) {
				_ = b.Run(ctx, results(errBoom))
				_ = b.Run(ctx, results())
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record(t)
				test.config.Name = "users"
				ctx, caller := r.caller(t.Context())
				test.do(ctx, r.breaker(t, test.config))
				caller.End()
				wantLines(t, r.spans(), append([]string{"caller Unset {}"}, test.want...)...)
			})
		})
	}
}

// TestBreakerSpanNeedsParent: without one that records there is none, and the context goes through as it is.
func TestBreakerSpanNeedsParent(t *testing.T) {
	r := record(t)
	b := r.breaker(t, breaker.Config{ConsecutiveFailures: 1})
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true})
	for name, ctx := range map[string]context.Context{
		"no span":       t.Context(),
		"a remote span": trace.ContextWithRemoteSpanContext(t.Context(), remote),
	} {
		_ = b.Run(ctx, func(inner context.Context) error {
			if inner != ctx {
				t.Errorf("%s: the function has another context", name)
			}
			return nil
		})
	}
	_ = b.Run(t.Context(), results(errBoom))
	_ = b.Run(t.Context(), results())
	wantLines(t, r.spans())

	dropping := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, _ := dropping.caller(t.Context())
	b = dropping.breaker(t, breaker.Config{})
	_ = b.Run(ctx, func(inner context.Context) error {
		if inner != ctx {
			t.Error("a dropped span: the function has another context")
		}
		return nil
	})
}

// TestRefusedSpanEndsAtOnce: before the caller knows of it, and without a length.
func TestRefusedSpanEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.breaker(t, breaker.Config{})
		b.Force(breaker.ForcedOpen)
		ctx, _ := r.caller(t.Context())
		_ = b.Run(ctx, results())
		ended := r.kept.Ended()
		if len(ended) != 1 || !ended[0].EndTime().Equal(ended[0].StartTime()) {
			t.Errorf("when Run returns %d spans have ended", len(ended))
		}
	})
}

// TestRefusedSpanLinksToOpener: to the very call, not only to one of its name. In a Transport that is the call whose
// response said when to come back.
func TestRefusedSpanLinksToOpener(t *testing.T) {
	r := record(t)
	k := r.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts"}})
	client := breaker.Transport(k, roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"60"}}, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
	}))
	get := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://users.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	opening, _ := r.caller(t.Context())
	if err := get(opening); err != nil {
		t.Fatal(err)
	}
	refused, _ := r.caller(t.Context())
	if err := get(refused); !errors.Is(err, breaker.ErrOpen) {
		t.Fatal(err)
	}
	ended := r.kept.Ended()
	if len(ended) != 2 || len(ended[1].Links()) != 1 || !ended[1].Links()[0].SpanContext.Equal(ended[0].SpanContext()) {
		t.Errorf("the link is not to the call that opened it: %v", ended)
	}
	if trace.SpanContextFromContext(opening).TraceID() == trace.SpanContextFromContext(refused).TraceID() {
		t.Error("one trace: the test shows nothing")
	}
}

// TestStackSpans: a trace shows every policy that a call passed, each attempt with the breaker below it.
func TestStackSpans(t *testing.T) {
	r := record(t)
	p := r.retry(t, retry.Config{Name: "payments", BaseDelay: -1})
	b := r.breaker(t, breaker.Config{Name: "users", ConsecutiveFailures: 2})
	call := retry.Wrap(p, breaker.Wrap(b, func(context.Context, int) (int, error) { return 0, errBoom }))
	if _, err := call(t.Context(), 1); !errors.Is(err, breaker.ErrOpen) {
		t.Fatal(err)
	}
	failed := "    breaker users Error(_OTHER) {error.type=_OTHER holdfast.breaker.state=closed holdfast.call.outcome=failure " + users
	wantLines(t, r.spans(),
		"retry payments Error(breaker_open) {error.type=breaker_open holdfast.call.attempts=3 holdfast.call.outcome=failure "+callOf+"}",
		"  attempt payments Error(_OTHER) {error.type=_OTHER holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
		failed,
		"  attempt payments Error(_OTHER) {error.type=_OTHER holdfast.attempt.kind=retry holdfast.attempt.number=2 holdfast.attempt.outcome=failure}",
		failed,
		"  attempt payments Error(breaker_open) {error.type=breaker_open holdfast.attempt.kind=retry holdfast.attempt.number=3 holdfast.attempt.outcome=failure}",
		"    breaker users Error(breaker_open) {error.type=breaker_open holdfast.breaker.state=open holdfast.call.outcome=refused "+
			"holdfast.policy.name=users holdfast.policy.type=breaker holdfast.reject.reason=open} -> breaker users")
}

// TestNoErrorText: what an error says may be a secret, and has no bound. Neither spans nor metrics have a word of it.
func TestNoErrorText(t *testing.T) {
	r := record(t)
	secret := errors.New("password=hunter2")
	p := r.retry(t, retry.Config{BaseDelay: -1})
	b := r.breaker(t, breaker.Config{ConsecutiveFailures: 2})
	ctx, caller := r.caller(t.Context())
	_ = p.Run(ctx, func(ctx context.Context) error {
		return b.Run(ctx, func(context.Context) error { return fmt.Errorf("log in: %w", secret) })
	})
	func() {
		defer func() { _ = recover() }()
		_ = p.Run(ctx, func(context.Context) error { panic(secret) })
	}()
	caller.End()
	ended := r.kept.Ended()
	if len(ended) < 8 {
		t.Fatalf("only %d spans", len(ended))
	}
	for _, s := range ended {
		if said := fmt.Sprintf("%s %+v %+v %+v %+v", s.Name(), s.Attributes(), s.Status(), s.Events(), s.Links()); strings.Contains(said, "hunter2") {
			t.Error(said)
		}
		if len(s.Events()) > 0 {
			t.Errorf("%s has events: %v", s.Name(), s.Events())
		}
	}
	for series := range r.metrics() {
		if strings.Contains(series, "hunter2") {
			t.Error(series)
		}
	}
}

var states = []string{"closed", "open", "half_open", "forced_open", "disabled", "shadow"}

// breakerSeries are all observed series of a breaker, at zero but for the state it is in.
func breakerSeries(name, state string) map[string]float64 {
	series := map[string]float64{"holdfast.breaker.failure_ratio{holdfast.policy.name=" + name + "}": 0}
	for _, s := range states {
		in := "{holdfast.breaker.state=" + s + " holdfast.policy.name=" + name + "}"
		series["holdfast.breaker.transitions"+in] = 0
		series["holdfast.breaker.status"+in] = 0
		if s == state {
			series["holdfast.breaker.status"+in] = 1
		}
	}
	for _, s := range []string{"open", "half_open", "forced_open"} {
		series["holdfast.rejections{holdfast.policy.name="+name+" holdfast.policy.type=breaker holdfast.reject.reason="+s+"}"] = 0
	}
	return series
}

func statusOf(name, state string) string {
	return "holdfast.breaker.status{holdfast.breaker.state=" + state + " holdfast.policy.name=" + name + "}"
}

func transitionsTo(name, state string) string {
	return "holdfast.breaker.transitions{holdfast.breaker.state=" + state + " holdfast.policy.name=" + name + "}"
}

func rejections(name, reason string) string {
	return "holdfast.rejections{holdfast.policy.name=" + name + " holdfast.policy.type=breaker holdfast.reject.reason=" + reason + "}"
}

func ratioOf(name string) string {
	return "holdfast.breaker.failure_ratio{holdfast.policy.name=" + name + "}"
}

// TestBreakerMetrics is a life of a breaker, with all its series looked at after each step.
func TestBreakerMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.breaker(t, breaker.Config{Name: "users", ConsecutiveFailures: 3, OpenFor: time.Second})
		want := breakerSeries("users", "closed")
		state := "closed"
		enter := func(next string) {
			want[statusOf("users", state)] = 0
			want[statusOf("users", next)] = 1
			state = next
		}
		check := func() {
			t.Helper()
			got := r.metrics()
			wantValues(t, got, want)
			s := b.Snapshot()
			refused := got[rejections("users", "open")] + got[rejections("users", "half_open")] + got[rejections("users", "forced_open")]
			if refused != float64(s.Refused) || got[ratioOf("users")] != s.FailureRatio() || got[statusOf("users", s.State.String())] != 1 {
				t.Errorf("the snapshot has %+v, the metrics %v", s, got)
			}
		}
		if got := r.metrics(); len(got) != len(want) {
			t.Errorf("%d series at the start, want %d: %v", len(got), len(want), got)
		}
		check()

		run := func(fn func(context.Context) error) { _ = b.Run(t.Context(), fn) }
		run(results())
		run(results(errBoom))
		want[ratioOf("users")] = .5
		check()

		run(results(errBoom))
		run(results(errBoom))
		enter("open")
		want[transitionsTo("users", "open")]++
		want[ratioOf("users")] = 0 // of what it has seen in this state
		check()

		run(results())
		want[rejections("users", "open")]++
		check()

		time.Sleep(time.Second)
		enter("half_open") // the next call will be a probe; to look is not to change
		check()

		run(func(ctx context.Context) error {
			run(results())
			want[rejections("users", "half_open")]++
			want[transitionsTo("users", "half_open")]++
			check()
			return nil
		})
		enter("closed")
		want[transitionsTo("users", "closed")]++
		check()

		for _, s := range []breaker.State{breaker.ForcedOpen, breaker.Disabled} {
			b.Force(s)
			run(results())
			enter(s.String())
			want[transitionsTo("users", s.String())]++
			if s == breaker.ForcedOpen {
				want[rejections("users", "forced_open")]++
			}
			check()
		}
		b.Force(breaker.Shadow)
		enter("shadow")
		want[transitionsTo("users", "closed")]++
		check()

		const call = "holdfast.call.outcome="
		wantValues(t, r.metrics(), map[string]float64{
			duration + call + "success " + users:                                     3,
			duration + "error.type=_OTHER " + call + "failure " + users:              3,
			duration + "error.type=breaker_open " + call + "refused " + users:        1,
			duration + "error.type=breaker_half_open " + call + "refused " + users:   1,
			duration + "error.type=breaker_forced_open " + call + "refused " + users: 1,
		})
	})
}

// TestKeyedMetrics: a set is one series set, and tells how many breakers are in each state.
func TestKeyedMetrics(t *testing.T) {
	r := record(t)
	k := r.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts", ConsecutiveFailures: 1}, MaxKeys: 3})
	want := breakerSeries("hosts", "none")
	if got := r.metrics(); len(got) != len(want) {
		t.Errorf("%d series at the start, want %d", len(got), len(want))
	}
	wantValues(t, r.metrics(), want)

	_ = k.Get("a").Run(t.Context(), results(errBoom))
	_ = k.Get("a").Run(t.Context(), results())
	_ = k.Get("b").Run(t.Context(), results())
	_ = k.Get("c").Run(t.Context(), results())
	want[statusOf("hosts", "open")] = 1
	want[statusOf("hosts", "closed")] = 2
	want[transitionsTo("hosts", "open")] = 1
	want[rejections("hosts", "open")] = 1
	wantValues(t, r.metrics(), want)

	_ = k.Get("d").Run(t.Context(), results()) // evicts a: what is lost is its state, not its counts
	want[statusOf("hosts", "open")] = 0
	want[statusOf("hosts", "closed")] = 3
	wantValues(t, r.metrics(), want)
}

// TestKeyedCountersNeverGoDown: not when keys are evicted while somebody collects.
func TestKeyedCountersNeverGoDown(t *testing.T) {
	r := record(t)
	k := r.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts", ConsecutiveFailures: 1}, MaxKeys: 2})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 5000 {
			b := k.Get(fmt.Sprint(i))
			_ = b.Run(t.Context(), results(errBoom))
			_ = b.Run(t.Context(), results())
		}
	}()
	var last float64
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		n := r.metrics()[rejections("hosts", "open")]
		if n < last {
			t.Fatalf("%v rejections after %v", n, last)
		}
		last = n
	}
	if last != 5000 {
		t.Errorf("%v rejections at the end, want 5000", last)
	}
	runtime.KeepAlive(k)
}

// TestKeyedCountersWhenIdle: nor when it is the collection itself that finds keys idle.
func TestKeyedCountersWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		k := r.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts", ConsecutiveFailures: 1}, IdleAfter: time.Minute})
		b := k.Get("a")
		_ = b.Run(t.Context(), results(errBoom))
		_ = b.Run(t.Context(), results())
		time.Sleep(2 * time.Minute)
		for range 2 {
			if n := r.metrics()[rejections("hosts", "open")]; n != 1 {
				t.Errorf("%v rejections, want 1", n)
			}
		}
		runtime.KeepAlive(k)
	})
}

// TestKeyedSpans carry the name of the set: keys have no bound.
func TestKeyedSpans(t *testing.T) {
	r := record(t)
	k := r.keyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "users"}})
	ctx, caller := r.caller(t.Context())
	_ = k.Get("tenant 4711").Run(ctx, results())
	caller.End()
	wantLines(t, r.spans(), "caller Unset {}",
		"  breaker users Unset {holdfast.breaker.state=closed holdfast.call.outcome=success "+users)
}
