package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

func (r *recorder) bulkhead(t *testing.T, c bulkhead.Config) *bulkhead.Bulkhead {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	b, err := bulkhead.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *recorder) tenants(t *testing.T, c bulkhead.KeyedConfig) *bulkhead.Keyed[string] {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	k, err := bulkhead.NewKeyed[string](c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// held takes a place, for a while.
func held(t *testing.T, b *bulkhead.Bulkhead, d time.Duration) {
	t.Helper()
	p, err := b.TryAcquire()
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(d, func() { p.Done(nil) })
}

const slots = "holdfast.policy.name=slots holdfast.policy.type=bulkhead"

func TestBulkheadSpans(t *testing.T) {
	tests := []struct {
		name   string
		config bulkhead.Config
		do     func(ctx context.Context, b *bulkhead.Bulkhead)
		want   []string // under the caller's
	}{
		{
			name: "a success",
			do:   func(ctx context.Context, b *bulkhead.Bulkhead) { _ = b.Run(ctx, results()) },
			want: []string{"  bulkhead slots Unset {holdfast.call.outcome=success " + slots + "}"},
		},
		{
			name: "a failure",
			do:   func(ctx context.Context, b *bulkhead.Bulkhead) { _ = b.Run(ctx, results(typed{})) },
			want: []string{"  bulkhead slots Error(quota) {error.type=quota holdfast.call.outcome=failure " + slots + "}"},
		},
		{
			name: "cancelled",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				ctx, cancel := context.WithCancel(ctx)
				_ = b.Run(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
			},
			want: []string{"  bulkhead slots Unset {error.type=canceled holdfast.call.outcome=canceled " + slots + "}"},
		},
		{
			name: "a deadline",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				_ = b.Run(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			},
			want: []string{"  bulkhead slots Error(timeout) {error.type=timeout holdfast.call.outcome=failure " + slots + "}"},
		},
		{
			name: "a panic",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				defer func() { _ = recover() }()
				_ = b.Run(ctx, func(context.Context) error { panic("boom") })
			},
			want: []string{"  bulkhead slots Error(panic) {error.type=panic holdfast.call.outcome=failure " + slots + "}"},
		},
		{
			name: "refused",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, time.Second)
				_ = b.Run(ctx, results())
			},
			want: []string{"  bulkhead slots Error(bulkhead_full) {error.type=bulkhead_full holdfast.call.outcome=refused " + slots + " holdfast.reject.reason=full}"},
		},
		{
			name: "refused by one below",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				below := bulkhead.MustNew(bulkhead.Config{Limit: 1})
				held(t, below, time.Second)
				_ = b.Run(ctx, func(ctx context.Context) error { return below.Run(ctx, results()) })
			},
			want: []string{"  bulkhead slots Unset {error.type=bulkhead_full holdfast.call.outcome=ignored " + slots + "}"},
		},
		{
			name:   "waited",
			config: bulkhead.Config{Queue: 1},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, 250*time.Millisecond)
				_ = b.Run(ctx, results())
			},
			want: []string{"  bulkhead slots Unset {holdfast.bulkhead.wait_duration=0.25 holdfast.call.outcome=success " + slots + "}"},
		},
		{
			name:   "waited, and failed",
			config: bulkhead.Config{Queue: 1},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, 250*time.Millisecond)
				_ = b.Run(ctx, results(typed{}))
			},
			want: []string{"  bulkhead slots Error(quota) {error.type=quota holdfast.bulkhead.wait_duration=0.25 holdfast.call.outcome=failure " + slots + "}"},
		},
		{
			name:   "waited, and refused",
			config: bulkhead.Config{Queue: 1, MaxWait: 250 * time.Millisecond},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, time.Second)
				_ = b.Run(ctx, results())
			},
			want: []string{"  bulkhead slots Error(bulkhead_max_wait) {error.type=bulkhead_max_wait holdfast.bulkhead.wait_duration=0.25 holdfast.call.outcome=refused " +
				slots + " holdfast.reject.reason=max_wait}"},
		},
		{
			name:   "cancelled while it waited",
			config: bulkhead.Config{Queue: 1},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, time.Second)
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(250*time.Millisecond, func() { cancel(errBoom) })
				_ = b.Run(ctx, results())
			},
			want: []string{"  bulkhead slots Unset {error.type=canceled holdfast.bulkhead.wait_duration=0.25 holdfast.call.outcome=canceled " + slots + "}"},
		},
		{
			name:   "its deadline passed while it waited",
			config: bulkhead.Config{Queue: 1},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, time.Second)
				ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
				defer cancel()
				_ = b.Run(ctx, results())
			},
			want: []string{"  bulkhead slots Error(timeout) {error.type=timeout holdfast.bulkhead.wait_duration=0.25 holdfast.call.outcome=timeout " + slots + "}"},
		},
		{
			name:   "the rate",
			config: bulkhead.Config{Rate: 1},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				held(t, b, 0)
				time.Sleep(time.Millisecond)
				_ = b.Run(ctx, results())
			},
			want: []string{"  bulkhead slots Error(bulkhead_rate) {error.type=bulkhead_rate holdfast.call.outcome=refused " + slots + " holdfast.reject.reason=rate}"},
		},
		{
			name: "over before",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				_ = b.Run(ctx, results())
			},
		},
		{
			name: "a permit: who acquires it knows how long it is held",
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				p, _ := b.Acquire(ctx)
				p.Done(nil)
			},
		},
		{
			name:   "no spans",
			config: bulkhead.Config{NoSpans: true, Queue: 1, MaxWait: time.Millisecond},
			do: func(ctx context.Context, b *bulkhead.Bulkhead) {
				_ = b.Run(ctx, results(errBoom))
				held(t, b, time.Second)
				_ = b.Run(ctx, func(inner context.Context) error { return nil })
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record(t)
				test.config.Name, test.config.Limit = "slots", 1
				ctx, caller := r.caller(t.Context())
				test.do(ctx, r.bulkhead(t, test.config))
				caller.End()
				wantLines(t, r.spans(), append([]string{"caller Unset {}"}, test.want...)...)
				time.Sleep(time.Second)
			})
		})
	}
}

// TestBulkheadSpanNeedsParent: without one that records there is none, and the context goes through as it is.
func TestBulkheadSpanNeedsParent(t *testing.T) {
	r := record(t)
	b := r.bulkhead(t, bulkhead.Config{Limit: 1})
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true})
	same := func(ctx context.Context, b *bulkhead.Bulkhead) {
		t.Helper()
		_ = b.Run(ctx, func(inner context.Context) error {
			if inner != ctx {
				t.Error("the function has another context")
			}
			return b.Run(ctx, results()) // refused
		})
	}
	same(t.Context(), b)
	same(trace.ContextWithRemoteSpanContext(t.Context(), remote), b)
	wantLines(t, r.spans())

	dropping := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, _ := dropping.caller(t.Context())
	same(ctx, dropping.bulkhead(t, bulkhead.Config{Limit: 1}))
}

// TestBulkheadSpanEnds: that of a call that is refused at once when it is refused, without a length; that of one that waited
// with its call.
func TestBulkheadSpanEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.bulkhead(t, bulkhead.Config{Limit: 1, Queue: 1})
		ctx, _ := r.caller(t.Context())
		held(t, b, time.Second)
		go func() { _ = b.Run(ctx, func(context.Context) error { time.Sleep(time.Second); return nil }) }()
		synctest.Wait()
		_ = b.Run(ctx, results())
		ended := r.kept.Ended()
		if len(ended) != 1 || !ended[0].EndTime().Equal(ended[0].StartTime()) {
			t.Errorf("when Run returns %d spans have ended", len(ended))
		}
		time.Sleep(time.Hour)
		if ended = r.kept.Ended(); len(ended) != 2 || ended[1].EndTime().Sub(ended[1].StartTime()) != 2*time.Second {
			t.Errorf("%d spans, the last is %v long", len(ended), ended[len(ended)-1].EndTime().Sub(ended[len(ended)-1].StartTime()))
		}
	})
}

// TestBulkheadInStack: a trace shows every policy that a call passed, and what is below the bulkhead is under its span.
func TestBulkheadInStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.retry(t, retry.Config{Name: "payments", BaseDelay: -1})
		around := r.breaker(t, breaker.Config{Name: "users"})
		b := r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 1, Queue: 1})
		held(t, b, time.Second)
		call := retry.Wrap(p, breaker.Wrap(around, bulkhead.Wrap(b, func(ctx context.Context, _ int) (int, error) {
			_, span := r.tracer.Tracer("app").Start(ctx, "work")
			span.End()
			return 1, nil
		})))
		if _, err := call(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantLines(t, r.spans(),
			"retry payments Unset {holdfast.call.attempts=1 "+succeeded+"}",
			"  attempt payments Unset {holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=success}",
			"    breaker users Unset {holdfast.breaker.state=closed holdfast.call.outcome=success "+users,
			"      bulkhead slots Unset {holdfast.bulkhead.wait_duration=1 holdfast.call.outcome=success "+slots+"}",
			"        work Unset {}")

		full := r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 1})
		held(t, full, time.Second)
		refused := retry.Wrap(p, breaker.Wrap(around, bulkhead.Wrap(full, func(context.Context, int) (int, error) { return 1, nil })))
		if _, err := refused(t.Context(), 1); !errors.Is(err, bulkhead.ErrFull) {
			t.Fatal(err)
		}
		wantLines(t, r.spans()[5:],
			"retry payments Error(bulkhead_full) {error.type=bulkhead_full holdfast.call.attempts=1 holdfast.call.outcome=failure "+callOf+"}",
			"  attempt payments Error(bulkhead_full) {error.type=bulkhead_full holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
			"    breaker users Unset {error.type=bulkhead_full holdfast.breaker.state=closed holdfast.call.outcome=ignored "+users,
			"      bulkhead slots Error(bulkhead_full) {error.type=bulkhead_full holdfast.call.outcome=refused "+slots+" holdfast.reject.reason=full}")
	})
}

// TestBulkheadTransportSpan is as long as the place is held, which is until the body has been read; and it is over the client's
// own span.
func TestBulkheadTransportSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 1})
		client := bulkhead.Transport(b, roundTripper(func(req *http.Request) (*http.Response, error) {
			_, span := r.tracer.Tracer("app").Start(req.Context(), "GET")
			span.End()
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("hello")), Request: req}, nil
		}))
		ctx, caller := r.caller(t.Context())
		get := func() (*http.Response, error) {
			req, err := http.NewRequestWithContext(ctx, "GET", "http://users.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			return client.RoundTrip(req)
		}
		resp, err := get()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := get(); !errors.Is(err, bulkhead.ErrFull) {
			t.Errorf("%v: the place is held until the body is closed", err)
		}
		time.Sleep(time.Second)
		_ = resp.Body.Close()
		caller.End()
		wantLines(t, r.spans(), "caller Unset {}",
			"  bulkhead slots Unset {holdfast.call.outcome=success "+slots+"}",
			"    GET Unset {}",
			"  bulkhead slots Error(bulkhead_full) {error.type=bulkhead_full holdfast.call.outcome=refused "+slots+" holdfast.reject.reason=full}")
		if h := r.histogram(); len(h.DataPoints) != 2 || h.DataPoints[0].Sum+h.DataPoints[1].Sum != 1 {
			t.Errorf("durations: %+v", h.DataPoints)
		}
	})
}

// TestBulkheadTransportTellsEach: also of a success that the bulkhead does not time, its span and duration end with its body.
func TestBulkheadTransportTellsEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 5 // of which the first is timed
		r := record(t)
		client := bulkhead.Transport(r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 1}), roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("hello")), Request: req}, nil
		}))
		ctx, caller := r.caller(t.Context())
		defer caller.End()
		for i := range calls {
			req, err := http.NewRequestWithContext(ctx, "GET", "http://users.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if n := len(r.kept.Ended()); n != i {
				t.Errorf("%d spans have ended before the body of call %d is closed", n, i+1)
			}
			resp.Body.Close()
		}
		if n := len(r.kept.Ended()); n != calls {
			t.Errorf("%d spans for %d calls", n, calls)
		}
		if h := r.histogram(); len(h.DataPoints) != 1 || h.DataPoints[0].Count != calls || h.DataPoints[0].Sum != calls {
			t.Errorf("durations: %+v", h.DataPoints)
		}
	})
}

// TestBulkheadHandlerSpan is under the server's, and over the handler's.
func TestBulkheadHandlerSpan(t *testing.T) {
	r := record(t)
	b := r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 1})
	h := bulkhead.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, span := r.tracer.Tracer("app").Start(req.Context(), "work")
		span.End()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	ctx, server := r.caller(t.Context())
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	p, err := b.TryAcquire()
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	p.Done(nil)
	server.End()
	got := r.spans()
	if len(got) != 4 || !strings.HasPrefix(got[1], "  bulkhead slots ") || got[2] != "    work Unset {}" || !strings.HasPrefix(got[3], "  bulkhead slots Error(bulkhead_full)") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// TestBulkheadNoErrorText: neither what an error says nor why the caller gave up is in a span or a metric.
func TestBulkheadNoErrorText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		secret := errors.New("password=hunter2")
		b := r.bulkhead(t, bulkhead.Config{Limit: 1, Queue: 1})
		ctx, caller := r.caller(t.Context())
		_ = b.Run(ctx, results(secret))
		func() {
			defer func() { _ = recover() }()
			_ = b.Run(ctx, func(context.Context) error { panic(secret) })
		}()
		held(t, b, time.Second)
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(time.Millisecond, func() { cancel(secret) })
		_ = b.Run(ctx, results())
		caller.End()
		ended := r.kept.Ended()
		if len(ended) != 4 {
			t.Fatalf("%d spans", len(ended))
		}
		for _, s := range ended {
			if said := fmt.Sprintf("%s %+v %+v %+v %+v", s.Name(), s.Attributes(), s.Status(), s.Events(), s.Links()); strings.Contains(said, "hunter2") || len(s.Events()) > 0 {
				t.Error(said)
			}
		}
		for series := range r.metrics() {
			if strings.Contains(series, "hunter2") {
				t.Error(series)
			}
		}
		time.Sleep(time.Second)
	})
}
