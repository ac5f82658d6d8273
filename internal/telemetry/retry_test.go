package telemetry_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/telemetry"
	"github.com/holdfast-go/holdfast/retry"
)

var errBoom = errors.New("boom")

// typed is an error that has a word for telemetry.
type typed struct{}

func (typed) Error() string     { return "typed" }
func (typed) ErrorType() string { return "quota" }

// results returns a function that returns these errors in turn, and then nil.
func results(errs ...error) func(context.Context) error {
	return func(context.Context) error {
		if len(errs) == 0 {
			return nil
		}
		err := errs[0]
		errs = errs[1:]
		return err
	}
}

func (r *recorder) retry(t *testing.T, c retry.Config) *retry.Policy {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	p, err := retry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	callOf    = "holdfast.policy.name=payments holdfast.policy.type=retry"
	succeeded = "holdfast.call.outcome=success " + callOf
)

func TestRetrySpans(t *testing.T) {
	tests := []struct {
		name   string
		config retry.Config
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		fn     func(ctx context.Context, cancel func()) error
		want   []string
	}{
		{
			name: "at once",
			fn:   func(context.Context, func()) error { return nil },
			want: []string{
				"retry payments Unset {holdfast.call.attempts=1 " + succeeded + "}",
				"  attempt payments Unset {holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=success}",
			},
		},
		{
			name: "at the third attempt",
			fn: func(ctx context.Context, _ func()) error {
				if retry.AttemptFrom(ctx) < 3 {
					return errBoom
				}
				return nil
			},
			want: []string{
				"retry payments Unset {holdfast.call.attempts=3 " + succeeded + "}",
				"  attempt payments Error(_OTHER) {error.type=_OTHER holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
				"  attempt payments Error(_OTHER) {error.type=_OTHER holdfast.attempt.delay=0.25 holdfast.attempt.kind=retry holdfast.attempt.number=2 holdfast.attempt.outcome=failure}",
				"  attempt payments Unset {holdfast.attempt.delay=0.25 holdfast.attempt.kind=retry holdfast.attempt.number=3 holdfast.attempt.outcome=success}",
			},
		},
		{
			name:   "exhausted",
			config: retry.Config{MaxAttempts: 2},
			fn:     func(context.Context, func()) error { return typed{} },
			want: []string{
				"retry payments Error(quota) {error.type=quota holdfast.call.attempts=2 holdfast.call.outcome=failure " + callOf + "}",
				"  attempt payments Error(quota) {error.type=quota holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
				"  attempt payments Error(quota) {error.type=quota holdfast.attempt.delay=0.25 holdfast.attempt.kind=retry holdfast.attempt.number=2 holdfast.attempt.outcome=failure}",
			},
		},
		{
			name: "not worth a retry",
			fn:   func(context.Context, func()) error { return backoff.Permanent(errBoom) },
			want: []string{
				"retry payments Error(_OTHER) {error.type=_OTHER holdfast.call.attempts=1 holdfast.call.outcome=failure " + callOf + "}",
				"  attempt payments Error(_OTHER) {error.type=_OTHER holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
			},
		},
		{
			name: "cancelled in the first attempt",
			fn: func(ctx context.Context, cancel func()) error {
				cancel()
				return ctx.Err()
			},
			want: []string{
				"retry payments Unset {error.type=canceled holdfast.call.attempts=1 holdfast.call.outcome=canceled " + callOf + "}",
				"  attempt payments Unset {error.type=canceled holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=canceled}",
			},
		},
		{
			name: "cancelled in the delay",
			fn: func(_ context.Context, cancel func()) error {
				time.AfterFunc(time.Millisecond, cancel)
				return errBoom
			},
			want: []string{
				"retry payments Unset {error.type=canceled holdfast.call.attempts=1 holdfast.call.outcome=canceled " + callOf + "}",
				"  attempt payments Error(_OTHER) {error.type=_OTHER holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
			},
		},
		{
			name: "the caller's deadline",
			ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			},
			fn: func(ctx context.Context, _ func()) error {
				<-ctx.Done()
				return ctx.Err()
			},
			want: []string{
				"retry payments Error(timeout) {error.type=timeout holdfast.call.attempts=1 holdfast.call.outcome=timeout " + callOf + "}",
				"  attempt payments Error(timeout) {error.type=timeout holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=timeout}",
			},
		},
		{
			name:   "an attempt's time limit",
			config: retry.Config{AttemptTimeout: time.Second},
			fn: func(ctx context.Context, _ func()) error {
				if retry.AttemptFrom(ctx) == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			want: []string{
				"retry payments Unset {holdfast.call.attempts=2 " + succeeded + "}",
				"  attempt payments Error(timeout) {error.type=timeout holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=timeout}",
				"  attempt payments Unset {holdfast.attempt.delay=0.25 holdfast.attempt.kind=retry holdfast.attempt.number=2 holdfast.attempt.outcome=success}",
			},
		},
		{
			name: "a panic",
			fn:   func(context.Context, func()) error { panic("boom") },
			want: []string{
				"retry payments Error(panic) {error.type=panic holdfast.call.attempts=1 holdfast.call.outcome=failure " + callOf + "}",
				"  attempt payments Error(panic) {error.type=panic holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
			},
		},
		{
			name: "Goexit",
			fn: func(context.Context, func()) error {
				runtime.Goexit()
				return nil
			},
			want: []string{
				"retry payments Error(panic) {error.type=panic holdfast.call.attempts=1 holdfast.call.outcome=failure " + callOf + "}",
				"  attempt payments Error(panic) {error.type=panic holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
			},
		},
		{
			name:   "no attempt spans",
			config: retry.Config{NoAttemptSpans: true},
			fn: func(ctx context.Context, _ func()) error {
				if retry.AttemptFrom(ctx) < 2 {
					return errBoom
				}
				return nil
			},
			want: []string{"retry payments Unset {holdfast.call.attempts=2 " + succeeded + "}"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record(t)
				test.config.Name, test.config.Backoff = "payments", retry.Constant(250*time.Millisecond)
				p := r.retry(t, test.config)
				ctx, cancel := context.WithCancel(t.Context())
				if test.ctx != nil {
					ctx, cancel = test.ctx(t.Context())
				}
				defer cancel()
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_ = p.Run(ctx, func(ctx context.Context) error { return test.fn(ctx, cancel) })
				}()
				<-done
				wantLines(t, r.spans(), test.want...)
			})
		})
	}
}

// TestRetryWithoutName: a label is not left with a blank at its end.
func TestRetryWithoutName(t *testing.T) {
	r := record(t)
	_ = r.retry(t, retry.Config{}).Run(t.Context(), results())
	wantLines(t, r.spans(),
		"retry Unset {holdfast.call.attempts=1 holdfast.call.outcome=success holdfast.policy.name= holdfast.policy.type=retry}",
		"  attempt Unset {holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=success}")
}

// TestRetryParentage: the call is the caller's child, and what fn starts is its attempt's.
func TestRetryParentage(t *testing.T) {
	for _, noAttempts := range []bool{false, true} {
		r := record(t)
		p := r.retry(t, retry.Config{Name: "payments", BaseDelay: -1, NoAttemptSpans: noAttempts})
		ctx, caller := r.caller(t.Context())
		numbers := []int{}
		_ = p.Run(ctx, func(ctx context.Context) error {
			numbers = append(numbers, retry.AttemptFrom(ctx))
			_, inner := r.tracer.Tracer("inner").Start(ctx, "inner")
			inner.End()
			if len(numbers) < 2 {
				return errBoom
			}
			return nil
		})
		caller.End()
		if len(numbers) != 2 || numbers[0] != 1 || numbers[1] != 2 {
			t.Errorf("AttemptFrom under spans: %v", numbers)
		}
		var names []string
		for _, line := range r.spans() {
			name, _, _ := strings.Cut(line, " {")
			names = append(names, name)
		}
		want := []string{
			"caller Unset", "  retry payments Unset",
			"    attempt payments Error(_OTHER)", "      inner Unset",
			"    attempt payments Unset", "      inner Unset",
		}
		if noAttempts {
			want = []string{"caller Unset", "  retry payments Unset", "    inner Unset", "    inner Unset"}
		}
		wantLines(t, names, want...)
	}
}

// TestRetryNotRecorded: under a sampler that drops, the trace goes on (its identity is passed down), and no attempt has
// a span.
func TestRetryNotRecorded(t *testing.T) {
	r := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	p := r.retry(t, retry.Config{BaseDelay: -1})
	var seen []trace.SpanContext
	_ = p.Run(t.Context(), func(ctx context.Context) error {
		seen = append(seen, trace.SpanContextFromContext(ctx))
		return errBoom
	})
	if len(seen) != 3 || !seen[0].IsValid() || seen[0].IsSampled() {
		t.Fatalf("fn saw %v", seen)
	}
	if !seen[0].Equal(seen[1]) || !seen[1].Equal(seen[2]) {
		t.Errorf("attempts have spans of their own though nobody records: %v", seen)
	}
	wantLines(t, r.spans())
}

// TestAttemptOfNoCall: there is no attempt's span without a recorded call's.
func TestAttemptOfNoCall(t *testing.T) {
	r := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, dropped := telemetry.NewScope(telemetry.Options{TracerProvider: r.tracer}).StartCall(t.Context())
	for _, call := range []*telemetry.Call{nil, dropped} {
		inner, attempt := call.StartAttempt(ctx, 1, telemetry.Initial, 0)
		if inner != ctx || call.Recording() {
			t.Error("a span without a call's")
		}
		attempt.End(telemetry.Failure, errBoom)
		call.SetAttributes(telemetry.BreakerState("open"))
		call.End(ctx, telemetry.Failure, errBoom, 1)
	}
	if (*telemetry.Call)(nil).SpanContext().IsValid() || !dropped.SpanContext().IsValid() {
		t.Error("the identity of a dropped call is passed on, and that of none is none")
	}
}

// TestNothingIsSaidOfCallsThatAreNone: no function, or a context that is done.
func TestNothingIsSaidOfCallsThatAreNone(t *testing.T) {
	r := record(t)
	p, b := r.retry(t, retry.Config{}), r.breaker(t, breaker.Config{})
	ctx, caller := r.caller(t.Context())
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, run := range []func(context.Context, func(context.Context) error) error{p.Run, b.Run} {
		if run(ctx, nil) == nil || run(ended, results()) == nil {
			t.Error("no error")
		}
	}
	caller.End()
	wantLines(t, r.spans(), "caller Unset {}")
	wantValues(t, r.metrics(), map[string]float64{})
	for series := range r.metrics() {
		if strings.HasPrefix(series, "holdfast.call.duration") {
			t.Errorf("%s is there", series)
		}
	}
}

// TestRetryTransportSpans: the attempts say how often the request was sent before, and what the client underneath
// starts is their child.
func TestRetryTransportSpans(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Holdfast-Attempt") != "3" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	r := record(t)
	p := r.retry(t, retry.Config{Name: "payments", BaseDelay: -1})
	client := &http.Client{Transport: retry.Transport(p, roundTripper(func(req *http.Request) (*http.Response, error) {
		_, inner := r.tracer.Tracer("inner").Start(req.Context(), "GET")
		defer inner.End()
		return http.DefaultTransport.RoundTrip(req)
	}))}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	wantLines(t, r.spans(),
		"retry payments Unset {holdfast.call.attempts=3 "+succeeded+"}",
		"  attempt payments Error(503) {error.type=503 holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
		"    GET Unset {}",
		"  attempt payments Error(503) {error.type=503 holdfast.attempt.kind=retry holdfast.attempt.number=2 holdfast.attempt.outcome=failure http.request.resend_count=1}",
		"    GET Unset {}",
		"  attempt payments Unset {holdfast.attempt.kind=retry holdfast.attempt.number=3 holdfast.attempt.outcome=success http.request.resend_count=2}",
		"    GET Unset {}")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// retrySeries are all observed series of a retry policy, at zero.
func retrySeries(name string) map[string]float64 {
	series := make(map[string]float64)
	for _, kind := range []string{"initial", "retry"} {
		for _, outcome := range []string{"success", "failure", "timeout", "canceled"} {
			series["holdfast.attempts{holdfast.attempt.kind="+kind+" holdfast.attempt.outcome="+outcome+" holdfast.policy.name="+name+"}"] = 0
		}
	}
	for _, reason := range []string{"max_attempts", "budget", "deadline", "not_retryable", "exhausted_below"} {
		series["holdfast.retry.suppressed{holdfast.policy.name="+name+" holdfast.suppress.reason="+reason+"}"] = 0
	}
	return series
}

const (
	attempts   = "holdfast.attempts{holdfast.attempt.kind="
	suppressed = "holdfast.retry.suppressed{holdfast.policy.name=payments holdfast.suppress.reason="
	duration   = "holdfast.call.duration{"
	tokens     = "holdfast.budget.available{holdfast.policy.name=payments}"
)

// TestRetryMetrics: all series at zero from the start, and then what happened.
func TestRetryMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		budget, err := retry.NewBudget(retry.BudgetConfig{Capacity: 5, Floor: -1})
		if err != nil {
			t.Fatal(err)
		}
		p := r.retry(t, retry.Config{Name: "payments", BaseDelay: -1, AttemptTimeout: time.Second, Budget: budget})
		want := retrySeries("payments")
		want[tokens] = 5
		got := r.metrics()
		wantValues(t, got, want)
		if len(got) != len(want) {
			t.Errorf("%d series at the start, want %d: %v", len(got), len(want), got)
		}

		of := func(kind, outcome string) string {
			return attempts + kind + " holdfast.attempt.outcome=" + outcome + " holdfast.policy.name=payments}"
		}
		run := func(fn func(context.Context) error) { _ = p.Run(t.Context(), fn) }
		run(results())                                                     // a success at once
		run(results(errBoom))                                              // at the second attempt: a token
		run(results(errBoom, errBoom, errBoom))                            // exhausted: two tokens
		run(results(backoff.Permanent(errBoom)))                           // not worth a retry
		run(results(&retry.Error{Reason: retry.ErrAttempts, Attempts: 2})) // exhausted below
		run(func(ctx context.Context) error {                              // a time limit, then a success: a token
			if retry.AttemptFrom(ctx) == 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		_ = p.Run(ctx, func(context.Context) error { cancel(); return errBoom })
		want[of("initial", "success")] = 1
		want[of("initial", "failure")] = 4
		want[of("initial", "timeout")] = 1
		want[of("initial", "canceled")] = 1
		want[of("retry", "success")] = 2
		want[of("retry", "failure")] = 2
		want[suppressed+"max_attempts}"] = 1
		want[suppressed+"not_retryable}"] = 1
		want[suppressed+"exhausted_below}"] = 1
		want[tokens] = 5 - 4 + 2*.125 // a full budget takes no deposit
		want[duration+"holdfast.call.outcome=success "+callOf+"}"] = 3
		want[duration+"error.type=_OTHER holdfast.call.outcome=failure "+callOf+"}"] = 3
		want[duration+"error.type=canceled holdfast.call.outcome=canceled "+callOf+"}"] = 1
		wantValues(t, r.metrics(), want)
		wantSnapshot(t, p, r.metrics())

		run(results(errBoom)) // the last token
		run(results(errBoom)) // none left
		ctx, cancel = context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		slow := r.retry(t, retry.Config{Name: "slow", Backoff: retry.Constant(time.Hour)})
		_ = slow.Run(ctx, results(errBoom))
		got = r.metrics()
		if v := got[suppressed+"budget}"]; v != 1 {
			t.Errorf("denied for the budget: %v", v)
		}
		if v := got["holdfast.retry.suppressed{holdfast.policy.name=slow holdfast.suppress.reason=deadline}"]; v != 1 {
			t.Errorf("denied for the deadline: %v", v)
		}
		wantSnapshot(t, p, got)
		runtime.KeepAlive(p)
		runtime.KeepAlive(slow)
	})
}

// wantSnapshot: the metrics are what Snapshot says.
func wantSnapshot(t *testing.T, p *retry.Policy, got map[string]float64) {
	t.Helper()
	s := p.Snapshot()
	var all, retries, successes float64
	for series, v := range got {
		if strings.HasPrefix(series, attempts) && strings.HasSuffix(series, "name="+s.Name+"}") {
			all += v
			if strings.HasPrefix(series, attempts+"retry ") {
				retries += v
			}
			if strings.Contains(series, "outcome=success") {
				successes += v
			}
		}
	}
	if all != float64(s.Attempts) || retries != float64(s.Retries) || successes != float64(s.Successes) {
		t.Errorf("%v attempts, %v retries, %v successes; the snapshot has %+v", all, retries, successes, s)
	}
	for reason, n := range maps.All(s.Suppressed) {
		if v := got[suppressed+reason+"}"]; v != float64(n) {
			t.Errorf("suppressed %s: %v, the snapshot has %d", reason, v, n)
		}
	}
	if got[tokens] != s.Budget {
		t.Errorf("%v tokens, the snapshot has %v", got[tokens], s.Budget)
	}
}

// TestCallDurationIsTheWholeCall: waiting included.
func TestCallDurationIsTheWholeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.retry(t, retry.Config{Backoff: retry.Constant(3 * time.Second)})
		_ = p.Run(t.Context(), func(ctx context.Context) error {
			time.Sleep(time.Second)
			if retry.AttemptFrom(ctx) == 1 {
				return errBoom
			}
			return nil
		})
		h := r.histogram()
		if len(h.DataPoints) != 1 || h.DataPoints[0].Sum != 5 {
			t.Errorf("an attempt of 1s, a delay of 3s, an attempt of 1s: %+v", h.DataPoints)
		}
	})
}
