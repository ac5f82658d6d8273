package bulkhead

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// StatusError is an HTTP response as Adaptive.Overloaded sees it: of status 429 or 5xx, but 501 and 505.
// [errors.As] finds it. It has the StatusCode, a field, and RetryAfter(): for how long the server asked to be left alone, 0 if
// it did not; no body.
type StatusError = httpx.StatusError

// Transport returns next with requests under the bulkhead. A nil next is http.DefaultTransport; a nil b lets all
// requests pass. For a bulkhead for each host see [Keyed.Transport].
//
// A request that has no place is a [*FullError]. The place is held until the response's body is closed or read to its
// end, for until then the server is at work (Config.ReleaseAtHeader: until the header is there). A body that is neither
// holds it for ever, as it does the connection; a connection that was switched to another protocol, until it is closed.
//
// The result of a request is known when its header is there, and so is its latency. Status 429 and 5xx (but 501 and 505)
// count as failures, as a [*StatusError] to Adaptive.Overloaded; what was quick because there was nothing to do, 304 and
// the other 4xx, is no sample of the latency.
//
// A priority that the request's context was given goes along in the [PriorityHeader]. What is exempt by Config goes as it
// is.
func Transport(b *Bulkhead, next http.RoundTripper) http.RoundTripper {
	if b == nil {
		return &transport{Over: httpx.OverNext(next)}
	}
	return &transport{Over: httpx.OverNext(next), one: b}
}

// Host is the key of a request's host for [Keyed.Transport]: as in its URL, in lower case and without the default port.
func Host(r *http.Request) string { return httpx.HostKey(r.URL) }

type transport struct {
	httpx.Over
	one *Bulkhead // nil: of a Keyed
	set *atomic.Pointer[settings]
	of  func(*http.Request) *Bulkhead // nil in both: all requests pass
}

func (t *transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if t.one == nil && t.of == nil {
		return t.Below.RoundTrip(req)
	}
	answered, over := false, false
	var c call
	defer func() {
		if !over { // the base, or a callback, panicked or ended its goroutine
			c.abandon(req, answered, resp)
		}
	}()
	set := c.prepare(t.one, t.set)
	if set.exempts(req) {
		over = true
		return t.Below.RoundTrip(req)
	}
	b := t.one
	if b == nil {
		b = t.of(req)
	}
	if err := c.begin(req.Context(), b, false); err != nil {
		over = true
		httpx.CloseBody(req)
		return nil, err
	}
	watched, body := httpx.WatchBody(c.request(req))
	resp, err = httpx.RoundTrip(t.Below, watched)
	answered = true
	if resp != nil {
		resp.Request = req
	}
	outcome, verdict := c.verdict(resp, err, body)
	if resp == nil || c.wait.terms.releaseAtHeader || bodiless(resp) {
		c.settle(outcome, verdict)
	} else {
		c.hold(resp, outcome, verdict)
	}
	over = true
	return resp, err
}

// request is what goes down: the caller's own, unless there is a span for it to be under, or a priority to be told.
func (c *call) request(req *http.Request) *http.Request {
	header, another := priorityHeader(c.ctx, req.Header)
	if !c.traced() && !another {
		return req
	}
	again := req.WithContext(c.ctx)
	again.Header = header
	return again
}

// traced reports whether the call has a context of its own, with its span.
func (c *call) traced() bool { return c.tel.SpanContext().IsValid() }

// verdict judges a response, or the error that came instead.
func (c *call) verdict(resp *http.Response, err error, body *httpx.Body) (outcome, error) {
	switch {
	case err != nil && body.Caused(err): // the caller's own doing: the reading of the request's body
		return ignored, err
	case err != nil:
	case httpx.Failure(resp.StatusCode):
		err = httpx.NewStatusError(resp, time.Now())
	case !telling(resp.StatusCode):
		return unmeasured, nil
	}
	return c.judge(err), err
}

// telling reports whether a status says how long the work takes. What has not changed is not made again, and a fault of the
// caller's is found before there is any work.
func telling(status int) bool {
	return status < http.StatusBadRequest && status != http.StatusNotModified
}

// lasting reports whether an exchange is there for as long as both sides like, an upgraded connection or a stream of
// events: that is no sample of anything.
func lasting(upgraded bool, h http.Header) bool {
	const events = "text/event-stream"
	kind := h.Get("Content-Type")
	return upgraded || len(kind) >= len(events) && strings.EqualFold(kind[:len(events)], events)
}

// bodiless reports whether a response is complete with its header. HTTP/2 has then a body that is not http.NoBody, and who
// knows that there is none may not close it.
func bodiless(resp *http.Response) bool {
	return resp.Body == http.NoBody || resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified ||
		resp.ProtoMajor >= 2 && resp.ContentLength == 0
}

// abandon closes what nobody else will, when RoundTrip is left by a panic. Before it has answered, the base may not have
// come to close the request's body.
func (c *call) abandon(req *http.Request, answered bool, resp *http.Response) {
	if c.open {
		defer c.abort()
	}
	if resp != nil {
		defer resp.Body.Close()
	}
	if !answered {
		httpx.CloseBody(req)
	}
}

// hold keeps the place until nobody reads from the response any more.
func (c *call) hold(resp *http.Response, o outcome, verdict error) {
	h := held{slot: c.place.slot, word: c.place.word}
	if verdict != nil || c.tel != nil || !c.place.plain() {
		h.story = &story{b: c.b, terms: c.wait.terms, place: c.place, ctx: c.ctx, tel: c.tel, outcome: o, verdict: verdict}
		h.story.time(resp)
	}
	c.open = false
	httpx.OnClose(resp, h)
}

// held is the place of a call whose response's body is still read.
type held struct {
	slot  *slot
	word  uint64
	story *story // nil: a success of which there is nothing to tell
}

// End gives the place back.
func (h held) End() {
	if h.story == nil {
		h.slot.giveBack(h.word)
		return
	}
	h.story.end()
}

// story is what there is to tell of such a call at its end.
type story struct {
	b        *Bulkhead
	terms    *terms
	place    place
	ctx      context.Context
	tel      *telemetry.Call
	answered time.Duration
	outcome  outcome
	verdict  error
}

// time is for a call that is timed, unless it lasts.
func (s *story) time(resp *http.Response) {
	if s.place.start == 0 {
		return
	}
	upgraded := resp.StatusCode == http.StatusSwitchingProtocols || resp.Request.Method == http.MethodConnect
	if s.outcome != failed && lasting(upgraded, resp.Header) {
		s.place.start = 0
		return
	}
	s.answered = s.b.now()
}

func (s *story) end() {
	defer s.tel.End(s.ctx, s.outcome.spoken(s.verdict), s.verdict, 0)
	s.place.vacate()
	s.b.learn(&s.place, s.terms, s.answered, s.outcome, s.verdict)
}

// overloadStatus reports whether a server says that there is too much for it, or for what is behind it.
func overloadStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
