package hedge

import (
	"context"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with requests under the policy. A nil next is http.DefaultTransport; a nil p lets all requests
// pass. The delay is learned for each host and method by itself.
//
// What is hedged: GET, HEAD, OPTIONS, TRACE and what has an Idempotency-Key (Config.HedgeRequest decides otherwise), if it
// has no body or one that GetBody makes anew, each reading by itself (one that seeks in a shared file does not); nothing that
// asks for a connection (an upgrade, CONNECT). The rest goes through untouched.
//
// What comes back: the first good response. Statuses that a retry would repeat (408, 425, 429, 500, 502, 503, 504) are
// failures: they never beat an attempt under way, and start the next one at once. If all fail, the first attempt's
// response, or its error. Responses that lost are drained within a bound and closed. The request is not modified;
// each attempt has a header and a body of its own.
//
// Attempts of one host may share an HTTP/2 connection, and then what holds it up too.
func Transport(p *Policy, next http.RoundTripper) http.RoundTripper {
	return &transport{p, httpx.Next(next)}
}

type transport struct {
	policy *Policy
	next   http.RoundTripper
}

// Unwrap returns the transport underneath, for tools that look for one.
func (t *transport) Unwrap() http.RoundTripper { return t.next }

// Faithful says whether requests are left as they are, all the way down: see httpx.Faithful.
func (t *transport) Faithful() bool { return httpx.Faithful(t.next) }

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { httpx.CloseIdleConnections(t.next) }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p := t.policy
	if p == nil || httpx.IsUpgrade(req) || !httpx.Replayable(req) || !p.cfg.HedgeRequest(req) {
		return t.next.RoundTrip(req)
	}
	if req.Context().Err() != nil {
		httpx.CloseBody(req)
	}
	x := &exchange{req: req, next: t.next, faithful: httpx.Faithful(t.next)}
	resp, err := do(req.Context(), p, p.paceFor(req), x.send, httpx.Discard, x)
	if resp == nil {
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

// exchange is a call in a Transport.
type exchange struct {
	req      *http.Request
	next     http.RoundTripper
	faithful bool
	body     *httpx.Body // of the first attempt, if it is watched
}

// send makes one attempt. A response that may be a failure comes with a StatusError for HedgeIf to judge.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	req, err := x.request(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := httpx.RoundTrip(x.next, req)
	if err != nil || !httpx.Retryable(resp.StatusCode) {
		return resp, err
	}
	return resp, httpx.NewStatusError(resp, time.Now())
}

// request is that of the attempt of ctx. The first has the caller's body, and its header unless somebody below might
// write there while the next attempt copies it.
func (x *exchange) request(ctx context.Context) (*http.Request, error) {
	if attempt.From(ctx) > attempt.From(x.req.Context()) {
		return httpx.Resend(ctx, x.req, nil)
	}
	req := x.req.WithContext(ctx)
	if !x.faithful {
		req.Header = x.req.Header.Clone()
	}
	return req, nil
}

// hedgeRequest is the default of Config.HedgeRequest.
func hedgeRequest(req *http.Request) bool {
	switch req.Method {
	case http.MethodPut, http.MethodDelete: // once and again is as once, but not beside another writer
		_, keyed := req.Header["Idempotency-Key"]
		return keyed
	}
	return httpx.Idempotent(req)
}
