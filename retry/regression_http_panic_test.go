package retry_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast/retry"
)

// panicOf sends r, and returns what it panicked with.
func panicOf(t *testing.T, p *retry.Policy, base http.RoundTripper, r *http.Request) (v any) {
	t.Helper()
	defer func() {
		if v = recover(); v == nil {
			t.Error("the panic did not reach the caller")
		}
	}()
	retry.Transport(p, base).RoundTrip(r)
	return nil
}

// inBooks checks that the one call was counted once, as a failure.
func inBooks(t *testing.T, p *retry.Policy) {
	t.Helper()
	if s := p.Snapshot(); s.Calls != 1 || s.Failures != 1 || s.Successes != 0 {
		t.Errorf("want one call, one failure: %+v", s)
	}
}

// RetryIf is asked with a response in hand: if it panics, the response is nobody's, and its connection would be lost.
func TestRetryIfPanicsOnAResponse(t *testing.T) {
	for _, code := range []int{404, 503} {
		c := quick
		c.RetryIf = func(error) bool { panic("RetryIf") }
		p, base := retry.MustNew(c), &counted{}
		base.answer = func(_ int, r *http.Request) (*http.Response, error) { return base.respond(code, r), nil }
		r, _ := http.NewRequest("GET", "http://host/", nil)
		if v := panicOf(t, p, base, r); v != "RetryIf" {
			t.Errorf("%d: panicked with %v", code, v)
		}
		if o, cl := base.opened.Load(), base.closed.Load(); o != 1 || cl != 1 {
			t.Errorf("%d: %d bodies opened, %d closed", code, o, cl)
		}
		inBooks(t, p)
	}
}

// PrepareRequest holds a request with a fresh body: if it panics, nobody else will close that.
func TestPrepareRequestPanics(t *testing.T) {
	c := quick
	c.PrepareRequest = func(*http.Request) error { panic("PrepareRequest") }
	p, base := retry.MustNew(c), &counted{}
	base.answer = func(_ int, r *http.Request) (*http.Response, error) { return base.respond(503, r), nil }
	r, _ := http.NewRequest("PUT", "http://host/", nil)
	r.GetBody = func() (io.ReadCloser, error) { return base.body("hello"), nil }
	r.Body, _ = r.GetBody()
	if v := panicOf(t, p, base, r); v != "PrepareRequest" {
		t.Errorf("panicked with %v", v)
	}
	if o, cl := base.opened.Load(), base.closed.Load(); o != 3 || cl != o {
		t.Errorf("%d bodies opened, want 3, and %d closed", o, cl)
	}
	inBooks(t, p)
}

// A body that panics while it is kept is closed.
func TestBufferedBodyPanics(t *testing.T) {
	c := quick
	c.BufferBody = 10
	p, base, closed := retry.MustNew(c), &counted{}, &counted{}
	r, _ := http.NewRequest("PUT", "http://host/", body{reads(func([]byte) (int, error) { panic("Read") }), closed.body("")})
	if v := panicOf(t, p, base, r); v != "Read" || base.n != 0 {
		t.Errorf("panicked with %v, %d requests", v, base.n)
	}
	if closed.closed.Load() != 1 {
		t.Error("the body was not closed")
	}
	inBooks(t, p)
}

// Whatever else panics on the way out, the call is counted, and the token of a retry that was not made goes back.
func TestRetryIfAndClosePanic(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	for name, c := range map[string]retry.Config{
		"RetryIf": {BaseDelay: -1, RetryIf: func(error) bool { panic("RetryIf") }},
		"OnRetry": {BaseDelay: -1, Budget: budget, OnRetry: func(retry.Event) { panic("OnRetry") }},
		"Close":   {BaseDelay: -1, Budget: budget},
	} {
		t.Run(name, func(t *testing.T) {
			p := retry.MustNew(c)
			r, _ := http.NewRequest("GET", "http://host/", nil)
			panicOf(t, p, roundTripper(func(r *http.Request) (*http.Response, error) {
				resp := (&counted{}).respond(503, r)
				resp.Body = body{strings.NewReader("text"), closePanics{}}
				return resp, nil
			}), r)
			inBooks(t, p)
			if got := budget.Available(); got != 20 {
				t.Errorf("%v tokens left of 20", got)
			}
		})
	}
}

type closePanics struct{}

func (closePanics) Close() error { panic("Close") }

// A span that panics at the end of a success leaves the response to nobody: its body is closed, and the call counted once.
func TestSpanPanicsOnASuccess(t *testing.T) {
	c := quick
	c.TracerProvider = provider{}
	p, base := retry.MustNew(c), &counted{}
	base.answer = func(_ int, r *http.Request) (*http.Response, error) { return base.respond(200, r), nil }
	r, _ := http.NewRequest("GET", "http://host/", nil)
	if v := panicOf(t, p, base, r); v != "span" {
		t.Errorf("panicked with %v", v)
	}
	if o, cl := base.opened.Load(), base.closed.Load(); o != 1 || cl != 1 {
		t.Errorf("%d bodies opened, %d closed", o, cl)
	}
	inBooks(t, p)
}

// provider has spans that panic when they end.
type provider struct{ embedded.TracerProvider }

func (provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{} }

type tracer struct{ embedded.Tracer }

func (tracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, span{}
}

type span struct{ noop.Span }

func (span) IsRecording() bool          { return true }
func (span) End(...trace.SpanEndOption) { panic("span") }
