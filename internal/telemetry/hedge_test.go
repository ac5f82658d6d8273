package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/hedge"
)

func (r *recorder) hedge(t *testing.T, c hedge.Config) *hedge.Policy {
	t.Helper()
	c.TracerProvider, c.MeterProvider = r.tracer, r.meter
	p, err := hedge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	hedgeOf = "holdfast.policy.name=search holdfast.policy.type=hedge"
	first   = "  attempt search Unset {holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome="
)

// wonBy is the span of a call that an attempt won.
func wonBy(winner, attempts string) string {
	return "hedge search Unset {holdfast.call.attempts=" + attempts + " holdfast.call.outcome=success holdfast.hedge.winner=" + winner + " " + hedgeOf + "}"
}

// hedgeAt is the span of another attempt, that did not fail.
func hedgeAt(delay, number, outcome string) string {
	return "  attempt search Unset {holdfast.attempt.delay=" + delay + " holdfast.attempt.kind=hedge holdfast.attempt.number=" + number +
		" holdfast.attempt.outcome=" + outcome + "}"
}

// turns is a function whose attempts take so long each, and then return errs in their turn; the lost ones heed their
// context.
func turns(took []time.Duration, errs ...error) func(context.Context) error {
	return func(ctx context.Context) error {
		n := hedge.AttemptFrom(ctx) - 1
		select {
		case <-time.After(took[n]):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if n < len(errs) {
			return errs[n]
		}
		return nil
	}
}

const never = time.Hour

func TestHedgeSpans(t *testing.T) {
	const ms = time.Millisecond
	failed := func(line, word string) string {
		line = strings.Replace(line, "Unset {", "Error("+word+") {error.type="+word+" ", 1)
		return strings.Replace(line, "outcome=success", "outcome=failure", 1)
	}
	tests := []struct {
		name   string
		config hedge.Config
		limit  time.Duration // the caller's deadline
		cancel time.Duration // when the caller goes
		fn     func(context.Context) error
		want   []string
	}{
		{
			name: "at once",
			fn:   turns([]time.Duration{0}),
			want: []string{wonBy("1", "1"), first + "success}"},
		},
		{
			name: "a hedge wins",
			fn:   turns([]time.Duration{never, ms}),
			want: []string{wonBy("2", "2"), first + "lost}", hedgeAt("0.01", "2", "success")},
		},
		{
			name: "the first wins, late",
			fn:   turns([]time.Duration{25 * ms, never, never}),
			want: []string{wonBy("1", "3"), first + "success}", hedgeAt("0.01", "2", "lost"), hedgeAt("0.02", "3", "lost")},
		},
		{
			name: "the last wins",
			fn:   turns([]time.Duration{never, never, ms}),
			want: []string{wonBy("3", "3"), first + "lost}", hedgeAt("0.01", "2", "lost"), hedgeAt("0.02", "3", "success")},
		},
		{
			name: "the first fails",
			fn:   turns([]time.Duration{ms, ms}, errBoom),
			want: []string{wonBy("2", "2"), failed(first+"success}", "_OTHER"), hedgeAt("0.001", "2", "success")},
		},
		{
			name: "a hedge fails, which is not the end",
			fn:   turns([]time.Duration{25 * ms, ms, never}, nil, typed{}),
			want: []string{wonBy("1", "3"), first + "success}", failed(hedgeAt("0.01", "2", "success"), "quota"), hedgeAt("0.011", "3", "lost")},
		},
		{
			name: "all fail",
			fn:   turns([]time.Duration{ms, ms, ms}, typed{}, errBoom, errBoom),
			want: []string{
				"hedge search Error(quota) {error.type=quota holdfast.call.attempts=3 holdfast.call.outcome=failure " + hedgeOf + "}",
				failed(first+"success}", "quota"), failed(hedgeAt("0.001", "2", "success"), "_OTHER"), failed(hedgeAt("0.002", "3", "success"), "_OTHER"),
			},
		},
		{
			name:   "the caller goes",
			cancel: 15 * ms,
			fn:     turns([]time.Duration{never, never}),
			want: []string{
				"hedge search Unset {error.type=canceled holdfast.call.attempts=2 holdfast.call.outcome=canceled " + hedgeOf + "}",
				strings.Replace(first+"canceled}", "{", "{error.type=canceled ", 1), strings.Replace(hedgeAt("0.01", "2", "canceled"), "{", "{error.type=canceled ", 1),
			},
		},
		{
			name:   "the caller goes, and an attempt goes on",
			cancel: 5 * ms,
			fn:     func(context.Context) error { time.Sleep(time.Minute); return nil },
			want: []string{
				"hedge search Unset {error.type=canceled holdfast.call.attempts=1 holdfast.call.outcome=canceled " + hedgeOf + "}",
				strings.Replace(first+"canceled}", "{", "{error.type=canceled ", 1),
			},
		},
		{
			name:  "the caller's deadline, and an attempt goes on",
			limit: 5 * ms,
			fn:    func(context.Context) error { time.Sleep(time.Minute); return nil },
			want: []string{
				"hedge search Error(timeout) {error.type=timeout holdfast.call.attempts=1 holdfast.call.outcome=timeout " + hedgeOf + "}",
				strings.Replace(failed(first+"success}", "timeout"), "outcome=failure", "outcome=timeout", 1),
			},
		},
		{
			name:  "the caller's deadline",
			limit: 15 * ms,
			fn:    turns([]time.Duration{never, never}),
			want: []string{
				"hedge search Error(timeout) {error.type=timeout holdfast.call.attempts=2 holdfast.call.outcome=timeout " + hedgeOf + "}",
				failed(first+"timeout}", "timeout"), failed(hedgeAt("0.01", "2", "timeout"), "timeout"),
			},
		},
		{
			name: "a time limit of its own",
			fn:   turns([]time.Duration{ms, ms}, context.DeadlineExceeded),
			want: []string{wonBy("2", "2"), failed(first+"timeout}", "timeout"), hedgeAt("0.001", "2", "success")},
		},
		{
			name: "a panic",
			fn: func(ctx context.Context) error {
				if hedge.AttemptFrom(ctx) == 2 {
					panic("boom")
				}
				<-ctx.Done()
				return nil
			},
			want: []string{
				"hedge search Error(panic) {error.type=panic holdfast.call.attempts=2 holdfast.call.outcome=failure " + hedgeOf + "}",
				first + "lost}", failed(hedgeAt("0.01", "2", "success"), "panic"),
			},
		},
		{
			name: "Goexit",
			fn: func(context.Context) error {
				runtime.Goexit()
				return nil
			},
			want: []string{
				"hedge search Error(panic) {error.type=panic holdfast.call.attempts=1 holdfast.call.outcome=failure " + hedgeOf + "}",
				failed(first+"success}", "panic"),
			},
		},
		{
			name:   "no attempt spans",
			config: hedge.Config{NoAttemptSpans: true},
			fn:     turns([]time.Duration{never, ms}),
			want:   []string{wonBy("2", "2")},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record(t)
				test.config.Name, test.config.Delay, test.config.MaxHedges, test.config.MaxExtraLoad = "search", 10*ms, 2, -1
				p := r.hedge(t, test.config)
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
					_ = p.Run(ctx, test.fn)
				}()
				<-done
				synctest.Wait() // an attempt that returned at the moment at which the caller went ends its span itself
				wantLines(t, r.spans(), test.want...)
				time.Sleep(2 * never) // all have returned
				wantLines(t, r.spans(), test.want...)
			})
		})
	}
}

// strict is a tracer provider that finds fault with what is written to a span that has ended.
type strict struct {
	trace.TracerProvider
	late *atomic.Int32
}

type strictTracer struct {
	trace.Tracer
	late *atomic.Int32
}

type strictSpan struct {
	trace.Span
	ended atomic.Bool
	late  *atomic.Int32
}

func (s strict) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &strictTracer{s.TracerProvider.Tracer(name, opts...), s.late}
}

func (s *strictTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, inner := s.Tracer.Start(ctx, name, opts...)
	span := &strictSpan{Span: inner, late: s.late}
	return trace.ContextWithSpan(ctx, span), span
}

func (s *strictSpan) write() {
	if s.ended.Load() {
		s.late.Add(1)
	}
}

func (s *strictSpan) SetAttributes(attrs ...attribute.KeyValue) {
	s.write()
	s.Span.SetAttributes(attrs...)
}

func (s *strictSpan) SetStatus(code codes.Code, text string) {
	s.write()
	s.Span.SetStatus(code, text)
}

func (s *strictSpan) End(opts ...trace.SpanEndOption) {
	s.write()
	s.ended.Store(true)
	s.Span.End(opts...)
}

// TestLostSpansEndWithTheRace: the spans of attempts that lost end when the winner is known, although they do not heed their
// context; and whatever comes of them later, nothing is written to a span that has ended.
func TestLostSpansEndWithTheRace(t *testing.T) {
	for name, end := range map[string]func() error{
		"success": func() error { return nil },
		"failure": func() error { return errBoom },
		"panic":   func() error { panic("late") },
		"Goexit":  func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record(t)
				var late atomic.Int32
				p := hedge.MustNew(hedge.Config{
					Name: "search", Delay: 10 * time.Millisecond, MaxHedges: 2, MaxExtraLoad: -1, TracerProvider: strict{r.tracer, &late},
				})
				start := time.Now()
				_ = p.Run(t.Context(), func(ctx context.Context) error {
					if hedge.AttemptFrom(ctx) == 2 {
						time.Sleep(15 * time.Millisecond)
						return nil
					}
					time.Sleep(time.Minute)
					return end()
				})
				want := []string{wonBy("2", "3"), first + "lost}", hedgeAt("0.01", "2", "success"), hedgeAt("0.02", "3", "lost")}
				wantLines(t, r.spans(), want...)
				for _, s := range r.kept.Ended() {
					if took := s.EndTime().Sub(start); took != 25*time.Millisecond {
						t.Errorf("%s ended after %v", s.Name(), took)
					}
				}
				time.Sleep(time.Hour)
				wantLines(t, r.spans(), want...)
				if n := late.Load(); n != 0 {
					t.Errorf("%d writes to spans that had ended", n)
				}
			})
		})
	}
}

// TestHedgeParentage: the call is the caller's child, the attempts are the call's, and what fn starts is its attempt's; a
// breaker under the hedge too.
func TestHedgeParentage(t *testing.T) {
	for _, noAttempts := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := record(t)
			p := r.hedge(t, hedge.Config{Name: "search", Delay: 10 * time.Millisecond, MaxExtraLoad: -1, NoAttemptSpans: noAttempts})
			b := r.breaker(t, breaker.Config{Name: "users"})
			ctx, caller := r.caller(t.Context())
			_ = p.Run(ctx, func(ctx context.Context) error {
				return b.Run(ctx, turns([]time.Duration{never, 5 * time.Millisecond}))
			})
			synctest.Wait()
			caller.End()
			var names []string
			for _, line := range r.spans() {
				name, _, _ := strings.Cut(line, " {")
				names = append(names, name)
			}
			want := []string{
				"caller Unset", "  hedge search Unset",
				"    attempt search Unset", "      breaker users Unset",
				"    attempt search Unset", "      breaker users Unset",
			}
			if noAttempts {
				want = []string{"caller Unset", "  hedge search Unset", "    breaker users Unset", "    breaker users Unset"}
			}
			wantLines(t, names, want...)
		})
	}
}

// TestHedgeNotRecorded: under a sampler that drops, the trace goes on, and no attempt has a span.
func TestHedgeNotRecorded(t *testing.T) {
	r := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	p := r.hedge(t, hedge.Config{Delay: time.Hour, MaxExtraLoad: -1})
	var seen []trace.SpanContext
	_ = p.Run(t.Context(), func(ctx context.Context) error {
		seen = append(seen, trace.SpanContextFromContext(ctx))
		return errBoom
	})
	if len(seen) != 2 || !seen[0].IsValid() || seen[0].IsSampled() || !seen[0].Equal(seen[1]) {
		t.Fatalf("fn saw %v", seen)
	}
	wantLines(t, r.spans())
}

// TestNothingIsSaidOfHedgesThatAreNone: no function, or a context that is done.
func TestNothingIsSaidOfHedgesThatAreNone(t *testing.T) {
	r := record(t)
	p := r.hedge(t, hedge.Config{Name: "search"})
	ctx, caller := r.caller(t.Context())
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if p.Run(ctx, nil) == nil || p.Run(ended, results()) == nil {
		t.Error("no error")
	}
	caller.End()
	wantLines(t, r.spans(), "caller Unset {}")
	wantValues(t, r.metrics(), hedgeSeries("search", 0.1))
	for series := range r.metrics() {
		if strings.HasPrefix(series, duration) {
			t.Errorf("%s is there", series)
		}
	}
	runtime.KeepAlive(p)
}

// TestHedgeTransportSpans: attempts from the second on say how often the request was sent before, and what the client
// underneath starts is their child.
func TestHedgeTransportSpans(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	r := record(t)
	p := r.hedge(t, hedge.Config{Name: "search", Delay: time.Hour, MaxHedges: 2, MaxExtraLoad: -1})
	client := &http.Client{Transport: hedge.Transport(p, roundTripper(func(req *http.Request) (*http.Response, error) {
		ctx, inner := r.tracer.Tracer("inner").Start(req.Context(), "GET", trace.WithSpanKind(trace.SpanKindClient))
		defer inner.End()
		return http.DefaultTransport.RoundTrip(req.WithContext(ctx))
	}))}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	lines := r.spans()
	for i := range lines { // how long a failure takes is not said
		if before, after, found := strings.Cut(lines[i], "holdfast.attempt.delay="); found {
			_, after, _ = strings.Cut(after, " ")
			lines[i] = before + after
		}
	}
	wantLines(t, lines,
		wonBy("3", "3"),
		"  attempt search Error(503) {error.type=503 holdfast.attempt.kind=initial holdfast.attempt.number=1 holdfast.attempt.outcome=failure}",
		"    GET Unset {} kind=client",
		"  attempt search Error(503) {error.type=503 holdfast.attempt.kind=hedge holdfast.attempt.number=2 holdfast.attempt.outcome=failure http.request.resend_count=1}",
		"    GET Unset {} kind=client",
		"  attempt search Unset {holdfast.attempt.kind=hedge holdfast.attempt.number=3 holdfast.attempt.outcome=success http.request.resend_count=2}",
		"    GET Unset {} kind=client")
}

// hedgeSeries are all observed series of a hedge, at zero but for the delay.
func hedgeSeries(name string, delay float64) map[string]float64 {
	series := map[string]float64{"holdfast.hedge.delay{holdfast.policy.name=" + name + "}": delay}
	for _, kind := range []string{"initial", "hedge"} {
		for _, outcome := range []string{"success", "failure", "timeout", "canceled", "lost"} {
			series[attempts+kind+" holdfast.attempt.outcome="+outcome+" holdfast.policy.name="+name+"}"] = 0
		}
	}
	return series
}

// TestHedgeMetrics: all series at zero from the start, and then what happened.
func TestHedgeMetrics(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.hedge(t, hedge.Config{Name: "search", Delay: 10 * ms, MaxHedges: 2, MaxExtraLoad: -1})
		want := hedgeSeries("search", 0.01)
		got := r.metrics()
		wantValues(t, got, want)
		if len(got) != len(want) {
			t.Errorf("%d series at the start, want %d: %v", len(got), len(want), got)
		}

		run := func(ctx context.Context, took []time.Duration, errs ...error) {
			_ = p.Run(ctx, turns(took, errs...))
			synctest.Wait()
		}
		ctx := t.Context()
		run(ctx, []time.Duration{0})
		run(ctx, []time.Duration{5 * ms})
		run(ctx, []time.Duration{never, ms})                          // a hedge wins, the first is lost
		run(ctx, []time.Duration{25 * ms, never, never})              // two hedges are lost
		run(ctx, []time.Duration{0, 0, 0}, errBoom, errBoom, errBoom) // all fail
		run(ctx, []time.Duration{ms, ms}, context.DeadlineExceeded)   // an attempt's own time limit
		limited, cancel := context.WithTimeout(ctx, 5*ms)             //
		run(limited, []time.Duration{never})                          // the caller's deadline
		cancel()                                                      //
		left, cancel := context.WithCancel(ctx)                       //
		time.AfterFunc(15*ms, cancel)                                 //
		run(left, []time.Duration{never, never})                      // the caller goes, of two
		_ = recoveredFrom(func() { _ = p.Run(ctx, func(context.Context) error { panic("boom") }) })

		of := func(kind, outcome string) string {
			return attempts + kind + " holdfast.attempt.outcome=" + outcome + " holdfast.policy.name=search}"
		}
		want[of("initial", "success")] = 3
		want[of("initial", "lost")] = 1
		want[of("initial", "failure")] = 2
		want[of("initial", "timeout")] = 2
		want[of("initial", "canceled")] = 1
		want[of("hedge", "success")] = 2
		want[of("hedge", "lost")] = 2
		want[of("hedge", "failure")] = 2
		want[of("hedge", "canceled")] = 1
		want[duration+"holdfast.call.outcome=success "+hedgeOf+"}"] = 5
		want[duration+"error.type=_OTHER holdfast.call.outcome=failure "+hedgeOf+"}"] = 1
		want[duration+"error.type=panic holdfast.call.outcome=failure "+hedgeOf+"}"] = 1
		want[duration+"error.type=timeout holdfast.call.outcome=timeout "+hedgeOf+"}"] = 1
		want[duration+"error.type=canceled holdfast.call.outcome=canceled "+hedgeOf+"}"] = 1
		got = r.metrics()
		wantValues(t, got, want)

		s := p.Snapshot()
		var hedges float64
		for series, v := range got {
			if strings.HasPrefix(series, attempts+"hedge ") {
				hedges += v
			}
		}
		if hedges != float64(s.Hedges) || got[of("hedge", "success")] != float64(s.Wins) || s.Calls != 9 {
			t.Errorf("%v hedges; the snapshot has %+v", hedges, s)
		}
		runtime.KeepAlive(p)
	})
}

func recoveredFrom(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// TestHedgeDelayMetric: what is learned; of a policy for Transports alone, the longest of its hosts'.
func TestHedgeDelayMetric(t *testing.T) {
	const ms = time.Millisecond
	delayOf := func(r *recorder) float64 { return r.metrics()["holdfast.hedge.delay{holdfast.policy.name=search}"] }
	about := func(seconds, want float64) bool { return seconds >= want && seconds < want*33/32 }
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.hedge(t, hedge.Config{Name: "search", FirstDelay: 200 * ms})
		for range 100 {
			_ = p.Run(t.Context(), turns([]time.Duration{20 * ms}))
		}
		if d := delayOf(r); !about(d, 0.02) {
			t.Errorf("delay %v after calls of 20ms", d)
		}
		runtime.KeepAlive(p)
	})
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.hedge(t, hedge.Config{Name: "search", FirstDelay: 200 * ms})
		rt := hedge.Transport(p, roundTripper(func(req *http.Request) (*http.Response, error) {
			time.Sleep(time.Duration(len(req.URL.Host)) * 10 * ms)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
		}))
		if d := delayOf(r); d != 0.2 {
			t.Errorf("delay %v at the start", d)
		}
		for i := range 100 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+[]string{"a", "bbb"}[i%2], nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		if d := delayOf(r); !about(d, 0.03) {
			t.Errorf("delay %v, of hosts of 10ms and 30ms", d)
		}
		runtime.KeepAlive(p)
	})
}

// TestHedgedCallDurationIsTheWholeCall: until the winner is there, and no longer.
func TestHedgedCallDurationIsTheWholeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		p := r.hedge(t, hedge.Config{Delay: 3 * time.Second, MaxExtraLoad: -1})
		_ = p.Run(t.Context(), func(ctx context.Context) error {
			if hedge.AttemptFrom(ctx) == 1 {
				time.Sleep(time.Minute)
			}
			time.Sleep(time.Second)
			return nil
		})
		if h := r.histogram(); len(h.DataPoints) != 1 || h.DataPoints[0].Sum != 4 {
			t.Errorf("a hedge after 3s that takes 1s: %+v", h.DataPoints)
		}
		time.Sleep(time.Hour)
		if h := r.histogram(); h.DataPoints[0].Count != 1 {
			t.Errorf("%+v", h.DataPoints)
		}
	})
}

// TestDroppedHedge is neither kept alive nor reported.
func TestDroppedHedge(t *testing.T) {
	r := record(t)
	gone := func() weak.Pointer[hedge.Policy] {
		p := r.hedge(t, hedge.Config{Name: "search", Delay: -1, MaxExtraLoad: -1})
		_ = p.Run(t.Context(), func(context.Context) error { return errBoom })
		if n := len(r.metrics()); n < len(hedgeSeries("search", 0)) {
			t.Errorf("only %d series while it is there", n)
		}
		return weak.Make(p)
	}()
	eventually(t, "the policy is kept alive", func() bool { return gone.Value() == nil })
	for series := range r.metrics() {
		if !strings.HasPrefix(series, duration) {
			t.Errorf("%s is still there", series)
		}
	}
}

// TestHedgeAndSDKSetLater: a hedge made before reports from the next call on, also of calls that were not traced.
func TestHedgeAndSDKSetLater(t *testing.T) {
	if alone(t) {
		return
	}
	p := hedge.MustNew(hedge.Config{Name: "search", TracerProvider: otel.GetTracerProvider(), MeterProvider: otel.GetMeterProvider()})
	_ = p.Run(t.Context(), results())
	for range 2 { // and one that replaces it
		r := record(t).follow()
		_ = p.Run(t.Context(), results())
		wantLines(t, r.spans(), wonBy("1", "1"), first+"success}")
		got := r.metrics()
		if got[duration+"holdfast.call.outcome=success "+hedgeOf+"}"] != 1 {
			t.Errorf("durations: %v", got)
		}
		if n := got[attempts+"initial holdfast.attempt.outcome=success holdfast.policy.name=search}"]; n != float64(p.Snapshot().Calls) {
			t.Errorf("%v attempts of %d calls", n, p.Snapshot().Calls)
		}
	}
}
