package breaker

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with requests under the breaker of their host. A nil next is http.DefaultTransport; a nil k
// lets all requests pass. The key of a host is as in its URL, in lower case and without the default port:
// k.Get("api.example.com"), k.Get("127.0.0.1:8080").
//
// A refused request is an [*OpenError]. Status 429 and 5xx (but 501 and 505) count as failures, as a [*StatusError] to
// Classify; the caller gets the response all the same. When 429 or 503 come with a Retry-After, the breaker opens until
// then, for MaxOpenFor at the most. A request that a bulkhead of holdfast has refused in the server is a refusal here too, and no
// failure: its 503 or 429 says so (Holdfast-Refused: yes). A server that refuses all does not open the breaker, then, nor does
// one that only says so. For one that is not to be trusted with it set Classify: it is asked of refusals too.
//
// The result of a request is known when its header is there: a body that breaks off later is not seen.
func Transport(k *Keyed[string], next http.RoundTripper) http.RoundTripper {
	t := &transport{Over: httpx.OverNext(next)}
	if k != nil {
		t.of = func(req *http.Request) *Breaker { return k.Get(httpx.HostKey(req.URL)) }
	}
	return t
}

// TransportFor is [Transport] with one breaker for all hosts: for a client of one service. A nil b lets all requests pass.
func TransportFor(b *Breaker, next http.RoundTripper) http.RoundTripper {
	t := &transport{Over: httpx.OverNext(next)}
	if b != nil {
		t.of = func(*http.Request) *Breaker { return b }
	}
	return t
}

type transport struct {
	httpx.Over
	of func(*http.Request) *Breaker // nil: all requests pass
}

func (t *transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if t.of == nil {
		return t.Below.RoundTrip(req)
	}
	var c call
	sent, over := false, false
	defer func() {
		if !over { // the base, or a callback, panicked or ended its goroutine
			c.abandon(req, sent, resp)
		}
	}()
	if err := c.begin(req.Context(), t.of(req), false); err != nil {
		over = true
		httpx.CloseBody(req)
		return nil, err
	}
	sent = true
	watched, body := httpx.WatchBody(c.request(req))
	resp, err = httpx.RoundTrip(t.Below, watched)
	c.neutral = body.Caused(err)
	if resp != nil {
		resp.Request = req
	}
	c.end(verdict(resp, err))
	c.heed(resp)
	over = true
	return resp, err
}

// request is what goes down: the caller's own, unless there is a span for it to be under.
func (c *call) request(req *http.Request) *http.Request {
	if c.tel == nil {
		return req
	}
	return req.WithContext(c.ctx)
}

// abandon closes what nobody else will, when RoundTrip is left by a panic.
func (c *call) abandon(req *http.Request, sent bool, resp *http.Response) {
	if c.open {
		defer c.abort() // also if a body panics when it is closed
	}
	if resp != nil {
		defer resp.Body.Close()
	}
	if !sent {
		httpx.CloseBody(req)
	}
}

// verdict is the error to judge: that of a response too.
func verdict(resp *http.Response, err error) error {
	if err != nil || !httpx.Failure(resp.StatusCode) {
		return err
	}
	return httpx.Verdict(resp, time.Now())
}

// heed keeps calls away from a host that has said when it will be back.
func (c *call) heed(resp *http.Response) {
	if resp == nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable || httpx.Refused(resp) {
		return
	}
	now := time.Now()
	status := httpx.NewStatusError(resp, now)
	if status.After <= 0 {
		return
	}
	after := min(status.After, c.b.set.Load().maxOpenFor)
	// Many calls under way are told the same, one a moment after the other: that is one opening.
	c.b.openUntil(now.Add(after), after/8, status, trace.SpanContextFromContext(c.ctx))
	c.b.events.deliver(c.ctx, c.b)
}
