package bulkhead_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

// A client as the documentation has it: retry over bulkhead over breaker.
func TestTransportInAStack(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		var requests atomic.Int64
		status := func(http.ResponseWriter, *http.Request) {}
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			io.Copy(io.Discard, r.Body)
			status(w, r)
		})
		slots := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 4}})
		if err != nil {
			t.Fatal(err)
		}
		attempts := retry.MustNew(retry.Config{BaseDelay: -1})
		rt := retry.Transport(attempts, bulkhead.Transport(slots, breaker.Transport(hosts, s.Client().Transport)))
		put := func() (*http.Response, error) {
			return rt.RoundTrip(s.request(t, http.MethodPut, "/", strings.NewReader("hello")))
		}

		// Each attempt has a place, and a response that is dropped gives it back before the next.
		status = func(w http.ResponseWriter, _ *http.Request) {
			if requests.Load() < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			io.WriteString(w, "text")
		}
		resp, err := put()
		if err != nil || resp.StatusCode != 200 || requests.Load() != 3 || slots.Snapshot().InUse != 1 {
			t.Fatalf("%v, %v after %d requests: %+v", resp, err, requests.Load(), slots.Snapshot())
		}

		// A refusal is not repeated, and the breaker below does not hear of it.
		_, err = put()
		if !errors.Is(err, bulkhead.ErrFull) || slots.Snapshot().Refused != 1 || requests.Load() != 3 {
			t.Errorf("%v after %d requests: %+v", err, requests.Load(), slots.Snapshot())
		}
		resp.Body.Close()
		if b := hosts.Get(bulkhead.Host(s.request(t, "", "/", nil))).Snapshot(); b.Successes != 1 || b.Failures != 2 || b.Ignored != 0 {
			t.Errorf("the breaker: %+v", b)
		}

		// What the breaker refuses is no failure of the bulkhead's.
		status = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		for range 2 {
			if resp, err = put(); err == nil {
				resp.Body.Close()
			}
		}
		if !errors.Is(err, breaker.ErrOpen) || requests.Load() != 3+4 {
			t.Errorf("%v after %d requests", err, requests.Load())
		}
		if s := settled(t, slots, 3+1+4+1); s.Successes != 1 || s.Failures != 2+4 || s.Ignored != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Under a trace next, or the base, is under the bulkhead's span; the mux's pattern is known outside all the same, and the
// caller's request stays as it is.
func TestHTTPUnderATrace(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	defer provider.Shutdown(context.Background())
	b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 2, TracerProvider: provider})
	var server, client trace.SpanContext
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(_ http.ResponseWriter, r *http.Request) { server = trace.SpanContextFromContext(r.Context()) })
	h := bulkhead.Handler(b, mux)
	s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
		ctx, span := provider.Tracer("").Start(r.Context(), "server")
		defer span.End()
		r = r.WithContext(ctx)
		if h.ServeHTTP(w, r); r.Pattern != "GET /users/{id}" || r.Context() != ctx {
			t.Errorf("outside: %q", r.Pattern)
		}
	})
	rt := bulkhead.Transport(b, roundTripper(func(r *http.Request) (*http.Response, error) {
		client = trace.SpanContextFromContext(r.Context())
		return s.Client().Transport.RoundTrip(r)
	}))
	ctx, span := provider.Tracer("").Start(t.Context(), "client")
	r := s.request(t, http.MethodGet, "/users/7", nil).WithContext(ctx)
	resp, err := rt.RoundTrip(r)
	if err != nil || resp.StatusCode != 200 || resp.Request != r || r.Context() != ctx {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	span.End()
	s.Close()
	settled(t, b, 2)
	parents := map[string]trace.SpanContext{}
	for _, span := range spans.Ended() {
		if span.Name() == "bulkhead slots" {
			parents[span.SpanContext().SpanID().String()] = span.Parent()
		}
	}
	if len(parents) != 2 {
		t.Fatalf("%d spans", len(parents))
	}
	for name, span := range map[string]trace.SpanContext{"server": server, "client": client} {
		if parent, ok := parents[span.SpanID().String()]; !ok || !parent.IsValid() {
			t.Errorf("%s: ran under another span than the bulkhead's", name)
		}
	}
}
