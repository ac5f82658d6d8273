package telemetry_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/cenkalti/backoff/v4"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
)

func (r *recorder) failover(t *testing.T, c failover.Config[string]) *failover.Group[string] {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	g, err := failover.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// named are targets, whose values are their names.
func named(names ...string) (ts []failover.Target[string]) {
	for _, n := range names {
		ts = append(ts, failover.Target[string]{Name: n, Value: n})
	}
	return ts
}

// at is a function of what each target answers.
func at(errs map[string]error) func(context.Context, string) error {
	return func(_ context.Context, target string) error { return errs[target] }
}

const failoverOf = "holdfast.policy.name=db holdfast.policy.type=failover"

// went is the span of a call that succeeded.
func went(target, attempts string) string {
	return "failover db Unset {holdfast.call.attempts=" + attempts + " holdfast.call.outcome=success holdfast.failover.target=" + target + " " + failoverOf + "}"
}

// tried is the span of an attempt; word is the type of its error, if any.
func tried(target, number, kind, outcome, word string) string {
	status, failed := "Unset", ""
	if word != "" {
		failed = "error.type=" + word + " "
		if outcome != "canceled" {
			status = "Error(" + word + ")"
		}
	}
	return "  attempt db " + status + " {" + failed + "holdfast.attempt.kind=" + kind + " holdfast.attempt.number=" + number +
		" holdfast.attempt.outcome=" + outcome + " holdfast.target=" + target + "}"
}

// failed is the span of a call that failed.
func failed(word, attempts, outcome string) string {
	status := "Error(" + word + ")"
	if outcome == "canceled" {
		status = "Unset"
	}
	return "failover db " + status + " {error.type=" + word + " holdfast.call.attempts=" + attempts + " holdfast.call.outcome=" + outcome + " " + failoverOf + "}"
}

func TestFailoverSpans(t *testing.T) {
	open := breaker.MustNew(breaker.Config{})
	open.Force(breaker.ForcedOpen)
	refused := open.Run(t.Context(), results())
	for _, test := range []struct {
		name   string
		config failover.Config[string]
		fn     func(context.Context, string) error
		limit  time.Duration
		cancel time.Duration
		want   []string
	}{
		{
			name: "at once", fn: at(nil),
			want: []string{went("a", "1"), tried("a", "1", "initial", "success", "")},
		},
		{
			name: "to another", fn: at(map[string]error{"a": typed{}}),
			want: []string{went("b", "2"), tried("a", "1", "initial", "failure", "quota"), tried("b", "2", "failover", "success", "")},
		},
		{
			name: "a refusal, and a time limit of its own", fn: at(map[string]error{"a": refused, "b": context.DeadlineExceeded}),
			want: []string{
				went("c", "3"), tried("a", "1", "initial", "refused", "breaker_forced_open"), tried("b", "2", "failover", "timeout", "timeout"),
				tried("c", "3", "failover", "success", ""),
			},
		},
		{
			name: "all fail", fn: at(map[string]error{"a": errBoom, "b": errBoom, "c": typed{}}),
			want: []string{
				failed("quota", "3", "failure"), tried("a", "1", "initial", "failure", "_OTHER"), tried("b", "2", "failover", "failure", "_OTHER"),
				tried("c", "3", "failover", "failure", "quota"),
			},
		},
		{
			name: "no other would mend it", fn: at(map[string]error{"a": backoff.Permanent(errBoom)}),
			want: []string{failed("_OTHER", "1", "failure"), tried("a", "1", "initial", "failure", "_OTHER")},
		},
		{
			name: "an attempt's time limit", config: failover.Config[string]{AttemptTimeout: time.Second},
			fn: func(ctx context.Context, target string) error {
				if target == "a" {
					<-ctx.Done()
					return errBoom // it does not say why
				}
				return nil
			},
			want: []string{went("b", "2"), tried("a", "1", "initial", "timeout", "_OTHER"), tried("b", "2", "failover", "success", "")},
		},
		{
			name: "the caller goes", cancel: time.Second,
			fn:   func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
			want: []string{failed("canceled", "1", "canceled"), tried("a", "1", "initial", "canceled", "canceled")},
		},
		{
			name: "the caller's deadline", limit: time.Second,
			fn:   func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
			want: []string{failed("timeout", "1", "timeout"), tried("a", "1", "initial", "timeout", "timeout")},
		},
		{
			name: "a panic", fn: func(context.Context, string) error { panic("boom") },
			want: []string{failed("panic", "1", "failure"), tried("a", "1", "initial", "failure", "panic")},
		},
		{
			name: "Goexit", fn: func(context.Context, string) error { runtime.Goexit(); return nil },
			want: []string{failed("panic", "1", "failure"), tried("a", "1", "initial", "failure", "panic")},
		},
		{
			name: "OnChange panics", config: failover.Config[string]{ConsecutiveFailures: 1, OnChange: func(failover.Event) { panic("boom") }},
			fn:   at(map[string]error{"a": errBoom}),
			want: []string{failed("panic", "1", "failure"), tried("a", "1", "initial", "failure", "_OTHER")},
		},
		{
			name: "Budget panics", config: failover.Config[string]{Budget: panics{}},
			fn:   at(nil),
			want: []string{failed("panic", "1", "failure"), tried("a", "1", "initial", "failure", "panic")},
		},
		{
			name: "no targets yet", config: failover.Config[string]{Resolve: func(context.Context) ([]failover.Target[string], error) { return nil, typed{} }},
			fn:   at(nil),
			want: []string{"failover db Error(quota) {error.type=quota holdfast.call.outcome=refused " + failoverOf + "}"},
		},
		{
			name: "no attempt spans", config: failover.Config[string]{NoAttemptSpans: true}, fn: at(map[string]error{"a": errBoom}),
			want: []string{went("b", "2")},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record(t)
				test.config.Name = "db"
				if test.config.Resolve == nil {
					test.config.Targets = named("a", "b", "c")
				}
				g := r.failover(t, test.config)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.limit)
					defer cancel()
				}
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_ = g.Run(ctx, test.fn)
				}()
				<-done
				wantLines(t, r.spans(), test.want...)
			})
		})
	}
}

type panics struct{}

func (panics) Withdraw() bool { panic("boom") }
func (panics) Deposit()       { panic("boom") }

// The span of a refused call says that there was no target.
func TestFailoverRefusedSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		g := r.failover(t, failover.Config[string]{Name: "db", Targets: named("a"), ConsecutiveFailures: 1, PanicBelow: -1})
		_ = g.Run(t.Context(), at(map[string]error{"a": errBoom}))
		_ = g.Run(t.Context(), at(nil))
		wantLines(t, r.spans(),
			failed("_OTHER", "1", "failure"), tried("a", "1", "initial", "failure", "_OTHER"),
			"failover db Error(failover_no_target) {error.type=failover_no_target holdfast.call.outcome=refused "+failoverOf+"}")
	})
}

// Under a hedge the call spans are children of its attempts, each with the target it went to.
func TestFailoverUnderHedgeSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.hedge(t, hedge.Config{Name: "search", Delay: 10 * time.Millisecond, MaxExtraLoad: -1})
		g := r.failover(t, failover.Config[string]{Name: "db", Targets: named("a", "b")})
		_ = p.Run(t.Context(), func(ctx context.Context) error {
			return g.Run(ctx, func(ctx context.Context, target string) error {
				if target == "a" {
					<-ctx.Done()
					return context.Cause(ctx)
				}
				return nil
			})
		})
		synctest.Wait()
		lines := r.spans()
		if i := slices.Index(lines, "    "+went("b", "1")); i < 0 || lines[i+1] != "    "+tried("b", "1", "initial", "success", "") {
			t.Errorf("%s", strings.Join(lines, "\n"))
		}
	})
}

// failoverSeries are all observed series of a group, at zero but for the states of its targets.
func failoverSeries(states map[string]string) map[string]float64 {
	series := map[string]float64{"holdfast.rejections{holdfast.policy.name=db holdfast.policy.type=failover holdfast.reject.reason=no_target}": 0}
	for _, kind := range []string{"initial", "failover"} {
		for _, outcome := range []string{"success", "failure", "timeout", "canceled", "lost", "refused"} {
			series[attempts+kind+" holdfast.attempt.outcome="+outcome+" holdfast.policy.name=db}"] = 0
		}
	}
	for target, is := range states {
		for _, state := range []string{"healthy", "ejected", "probing"} {
			in := 0.0
			if state == is {
				in = 1
			}
			series["holdfast.failover.target.status{holdfast.policy.name=db holdfast.target="+target+" holdfast.target.state="+state+"}"] = in
		}
	}
	return series
}

// All series are there from the start, and after an Update those of the targets that there are then; and then what happened.
func TestFailoverMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		g := r.failover(t, failover.Config[string]{Name: "db", Targets: named("a", "b"), ConsecutiveFailures: 3, MaxEjected: 1, PanicBelow: -1, GoodProbes: 1})
		want := failoverSeries(map[string]string{"a": "healthy", "b": "healthy"})
		got := r.metrics()
		wantValues(t, got, want)
		if len(got) != len(want) {
			t.Errorf("%d series at the start, want %d: %v", len(got), len(want), got)
		}
		if err := g.Update(named("b", "c", "d")); err != nil {
			t.Fatal(err)
		}
		want = failoverSeries(map[string]string{"b": "healthy", "c": "healthy", "d": "healthy"})
		got = r.metrics()
		wantValues(t, got, want)
		if len(got) != len(want) {
			t.Errorf("%d series after the Update, want %d: %v", len(got), len(want), got)
		}

		run := func(errs map[string]error) { _ = g.Run(t.Context(), at(errs)) }
		run(nil)
		run(map[string]error{"b": errBoom})
		run(map[string]error{"b": errBoom, "c": context.DeadlineExceeded})
		run(map[string]error{"b": errBoom, "c": errBoom, "d": errBoom}) // b is out
		left, cancel := context.WithCancel(t.Context())
		_ = g.Run(left, func(ctx context.Context, _ string) error { cancel(); return ctx.Err() })
		l, err := g.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Done(nil)
		_ = recoveredFrom(func() { _ = g.Run(t.Context(), func(context.Context, string) error { panic("boom") }) }) // c is out

		of := func(kind, outcome string) string {
			return attempts + kind + " holdfast.attempt.outcome=" + outcome + " holdfast.policy.name=db}"
		}
		want = failoverSeries(map[string]string{"b": "ejected", "c": "healthy", "d": "healthy"})
		want[of("initial", "success")] = 2
		want[of("initial", "failure")] = 4
		want[of("initial", "canceled")] = 1
		want[of("failover", "success")] = 2
		want[of("failover", "failure")] = 2
		want[of("failover", "timeout")] = 1
		want[duration+"holdfast.call.outcome=success "+failoverOf+"}"] = 3
		want[duration+"error.type=_OTHER holdfast.call.outcome=failure "+failoverOf+"}"] = 1
		want[duration+"error.type=panic holdfast.call.outcome=failure "+failoverOf+"}"] = 1
		want[duration+"error.type=canceled holdfast.call.outcome=canceled "+failoverOf+"}"] = 1
		wantValues(t, r.metrics(), want)

		for range 3 { // now all are out
			run(map[string]error{"c": errBoom, "d": errBoom})
		}
		before := g.Snapshot().Refused
		run(nil)
		time.Sleep(5 * time.Second)
		got = r.metrics()
		rejections := "holdfast.rejections{holdfast.policy.name=db holdfast.policy.type=failover holdfast.reject.reason=no_target}"
		if got[rejections] != float64(before)+1 || got[rejections] != float64(g.Snapshot().Refused) {
			t.Errorf("%v rejections, and %d", got[rejections], g.Snapshot().Refused)
		}
		if n := got[duration+"error.type=failover_no_target holdfast.call.outcome=refused "+failoverOf+"}"]; n != got[rejections] {
			t.Errorf("the duration of %v calls", n)
		}
		g.Snapshot() // ends what time has ended
		run(nil)     // a trial
		got = r.metrics()
		for target, state := range map[string]string{"b": "healthy", "c": "probing", "d": "probing"} {
			if got["holdfast.failover.target.status{holdfast.policy.name=db holdfast.target="+target+" holdfast.target.state="+state+"}"] != 1 {
				t.Errorf("%s is not %s: %v", target, state, got)
			}
		}
	})
}

func TestFailoverLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged(slog.LevelDebug)
		g := failover.MustNew(failover.Config[string]{Name: "db", Targets: named("a", "b"), ConsecutiveFailures: 2, GoodProbes: 1, Logger: slog.New(l)})
		run := func(errs map[string]error) { _ = g.Run(t.Context(), at(errs)) }
		run(nil)
		run(map[string]error{"a": errBoom})
		run(nil)
		run(map[string]error{"a": errBoom, "b": errBoom})
		wantLines(t, *l.lines)
		run(map[string]error{"a": errBoom})
		const out = "WARN target ejected policy=failover db target=a from=healthy why=2 failures in a row"
		wantLines(t, *l.lines, out)
		time.Sleep(5 * time.Second)
		run(nil)
		wantLines(t, *l.lines, out,
			"INFO target probing policy=failover db target=a from=ejected",
			"INFO target healthy policy=failover db target=a from=probing why=trials went well")
	})
}

// TestFailoverTransportSpans: attempts from the second on say how often the request was sent before, and what the client
// underneath starts is their child.
func TestFailoverTransportSpans(t *testing.T) {
	page := func(status int) *url.URL {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(s.Close)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	r := record(t)
	g, err := failover.New(failover.Config[*url.URL]{
		Name: "db", TracerProvider: r.tracer, MeterProvider: r.meter,
		Targets: []failover.Target[*url.URL]{{Name: "a", Value: page(503)}, {Name: "b", Value: page(200)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: failover.Transport(g, roundTripper(func(req *http.Request) (*http.Response, error) {
		ctx, inner := r.tracer.Tracer("inner").Start(req.Context(), "GET", trace.WithSpanKind(trace.SpanKindClient))
		defer inner.End()
		return http.DefaultTransport.RoundTrip(req.WithContext(ctx))
	}))}
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := client.Get("http://db/")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	wantLines(t, r.spans(),
		went("b", "2"),
		tried("a", "1", "initial", "failure", "503"),
		"    GET Unset {} kind=client",
		strings.Replace(tried("b", "2", "failover", "success", ""), "}", " http.request.resend_count=1}", 1),
		"    GET Unset {} kind=client")
}

// TestDroppedFailover is neither kept alive nor reported.
func TestDroppedFailover(t *testing.T) {
	r := record(t)
	gone := func() weak.Pointer[failover.Group[string]] {
		g := r.failover(t, failover.Config[string]{Name: "db", Targets: named("a", "b")})
		_ = g.Run(t.Context(), at(map[string]error{"a": errBoom}))
		if n := len(r.metrics()); n < len(failoverSeries(nil))+6 {
			t.Errorf("only %d series while it is there", n)
		}
		return weak.Make(g)
	}()
	eventually(t, "the group is kept alive", func() bool { return gone.Value() == nil })
	for series := range r.metrics() {
		if !strings.HasPrefix(series, duration) {
			t.Errorf("%s is still there", series)
		}
	}
}

// TestFailoverAndSDKSetLater: a group made before reports from the next call on, also of calls that were not traced.
func TestFailoverAndSDKSetLater(t *testing.T) {
	if alone(t) {
		return
	}
	g := failover.MustNew(failover.Config[string]{
		Name: "db", Targets: named("a", "b"), TracerProvider: otel.GetTracerProvider(), MeterProvider: otel.GetMeterProvider(),
	})
	_ = g.Run(t.Context(), at(nil))
	for range 2 { // and one that replaces it
		r := record(t).follow()
		_ = g.Run(t.Context(), at(nil))
		wantLines(t, r.spans(), went("a", "1"), tried("a", "1", "initial", "success", ""))
		got := r.metrics()
		if n := got[attempts+"initial holdfast.attempt.outcome=success holdfast.policy.name=db}"]; n != float64(g.Snapshot().Calls) {
			t.Errorf("%v attempts of %d calls", n, g.Snapshot().Calls)
		}
	}
}
