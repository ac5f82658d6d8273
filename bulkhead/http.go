package bulkhead

import (
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// StatusError is an HTTP response as Adaptive.Overloaded sees it: of status 429 or 5xx, but 501 and 505.
type StatusError = httpx.StatusError

// Transport returns next with requests under the bulkhead. A nil next is http.DefaultTransport; a nil b lets all
// requests pass. For a bulkhead for each host see [Keyed.Transport].
//
// A request that has no place is a [*FullError]. The place is held until the response's body is closed or read to its
// end, for until then the server is at work (Config.ReleaseAtHeader: until the header is there). A body that is neither
// holds it for ever, as it does the connection; a connection that was switched to another protocol until it is closed. The priority of the request's context goes along in the [PriorityHeader].
func Transport(b *Bulkhead, next http.RoundTripper) http.RoundTripper {
	return &transport{httpx.Next(next), func(*http.Request) *Bulkhead { return b }}
}

// Host is the key of a request's host for [Keyed.Transport]: as in its URL, in lower case and without the default port.
func Host(r *http.Request) string { return httpx.HostKey(r.URL) }

type transport struct {
	next http.RoundTripper
	of   func(*http.Request) *Bulkhead
}

// Unwrap returns the transport underneath, for tools that look for one.
func (t *transport) Unwrap() http.RoundTripper { return t.next }

// Faithful says whether requests are left as they are, all the way down: see httpx.Faithful.
func (t *transport) Faithful() bool { return httpx.Faithful(t.next) }

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { httpx.CloseIdleConnections(t.next) }

func (t *transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	sent, over := false, false
	var c call
	defer func() {
		if !over { // the base, or a callback, panicked or ended its goroutine
			c.abandon(req, sent, resp)
		}
	}()
	b := t.of(req)
	if b == nil || b.set.exempt != nil && b.set.exempt(req) {
		over = true
		return t.next.RoundTrip(req)
	}
	if err := c.begin(req.Context(), b, false); err != nil {
		over = true
		httpx.CloseBody(req)
		return nil, err
	}
	sent = true
	watched, body := httpx.WatchBody(c.request(req))
	resp, err = httpx.RoundTrip(t.next, watched)
	if resp != nil {
		resp.Request = req
	}
	outcome, verdict := c.verdict(resp, err, body)
	if resp == nil || b.set.releaseAtHeader {
		c.settle(outcome, verdict)
	} else {
		c.hold(resp, outcome, verdict)
	}
	over = true
	return resp, err
}

// request is what goes down: the caller's own, unless there is a span for it to be under, or a priority to be told.
func (c *call) request(req *http.Request) *http.Request {
	header := withHeader(c.ctx, req.Header)
	if c.ctx == req.Context() && len(header) == len(req.Header) {
		return req
	}
	again := req.WithContext(c.ctx)
	again.Header = header
	return again
}

// verdict judges a response, or the error that came instead.
func (c *call) verdict(resp *http.Response, err error, body *httpx.Body) (outcome, error) {
	switch {
	case err != nil && body.Caused(err): // the caller's own doing: the reading of the request's body
		return ignored, err
	case err == nil && httpx.Failure(resp.StatusCode):
		err = httpx.NewStatusError(resp, time.Now())
	}
	return c.judge(err), err
}

// abandon closes what nobody else will, when RoundTrip is left by a panic.
func (c *call) abandon(req *http.Request, sent bool, resp *http.Response) {
	if !sent {
		httpx.CloseBody(req)
	}
	if resp != nil {
		_ = resp.Body.Close() // there is nobody to tell
	}
	if c.open {
		c.abort()
	}
}

// held is a call whose response's body is still read.
type held struct {
	call
	answered time.Duration
	outcome  outcome
	verdict  error
}

// hold keeps the place until nobody reads from the response any more.
func (c *call) hold(resp *http.Response, o outcome, verdict error) {
	h := &held{call: *c, outcome: o, verdict: verdict}
	if c.place.start != 0 {
		h.answered = c.b.set.now()
	}
	c.open = false
	httpx.OnClose(resp, h.end)
}

func (h *held) end() {
	defer h.tel.End(h.ctx, h.outcome.spoken(h.verdict), h.verdict, 0)
	h.place.vacate()
	h.b.learn(&h.place, h.answered, h.outcome, h.verdict)
}

// overloadStatus reports whether a server says that there is too much for it, or for what is behind it.
func overloadStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
