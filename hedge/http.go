package hedge

import (
	"net/http"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with requests under the policy. A nil next is http.DefaultTransport; a nil p lets all requests
// pass. The delay is learned for each host and method by itself.
//
// What is hedged: GET, HEAD, OPTIONS, TRACE and what has an Idempotency-Key (Config.HedgeRequest decides otherwise), if it
// has no body or one that GetBody makes anew, each reading by itself (one that seeks in a shared file does not); nothing that
// has trailers, which are one map for all attempts, or asks for a connection (an upgrade, CONNECT). The rest goes through
// untouched.
//
// What comes back: the first good response. Failures never beat an attempt under way: errors, 408, 425, 429, and 5xx but for
// 501 and 505. Those that a retry would repeat (408, 425, 429, 500, 502, 503, 504) start the next attempt at once, unless the
// server asks for a wait (Retry-After); Config.HedgeIf decides otherwise. Where several attempts of a request that is not
// GET, HEAD, OPTIONS or TRACE were made, 409 and 425 are failures that start none: they may only say that another attempt
// with the same key is being worked on.
//
// If all fail: the first attempt's response, or its error. Lest a failed response hold a connection, or a place in a bulkhead
// below, that the next attempt waits for, it is read into memory first: 16 KiB at the most, for 50 ms. One that is longer or
// slower is the caller's as it is, and no other attempt follows it; if one is under way already, the rest of the body is
// given up, and reading it ends with an error.
//
// Responses that lost are drained within a bound and closed. The request is not modified, and is the caller's again once the
// response's body is closed, though a loser may still be ending; each attempt has a header and a body of its own. The hooks
// of an httptrace.ClientTrace are called for each attempt, which may be at once, and so is GetBody.
//
// Attempts of one host may share an HTTP/2 connection, and then what holds it up too. Over HTTP/1 a request that is
// cancelled costs its connection.
func Transport(p *Policy, next http.RoundTripper) http.RoundTripper {
	return &transport{httpx.OverNext(next), p}
}

type transport struct {
	httpx.Over
	policy *Policy
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p := t.policy
	if p == nil {
		return t.Below.RoundTrip(req)
	}
	var x *exchange
	handedOn := false
	defer func() {
		if !handedOn && (x == nil || x.first == nil) { // no attempt was made, or a callback panicked before
			httpx.CloseBody(req)
		}
	}()
	set := p.set.Load()
	if !set.mayHedge(req) {
		handedOn = true
		return t.Below.RoundTrip(req)
	}
	x = newExchange(req, t.Below, 1+set.MaxHedges)
	resp, err := x.call.do(req.Context(), p, set, p.paceFor(req), x)
	if resp == nil {
		return nil, err
	}
	if x.worked.Load() {
		httpx.UnmarkRefused(resp)
	}
	resp.Request = req
	return resp, nil
}

// mayHedge reports whether the request may be sent twice at once.
func (s *settings) mayHedge(req *http.Request) bool {
	return !httpx.IsUpgrade(req) && httpx.Replayable(req) && len(req.Trailer) == 0 && s.HedgeRequest(req)
}

// hedgeRequest is the default of Config.HedgeRequest.
func hedgeRequest(req *http.Request) bool {
	if isSafe(req.Method) {
		return true
	}
	// With PUT and DELETE once and again is as once, but not beside another writer.
	_, keyed := req.Header["Idempotency-Key"]
	_, keyedX := req.Header["X-Idempotency-Key"]
	return keyed || keyedX
}

// isSafe reports whether a method only reads (RFC 9110, 9.2.1). The empty one is GET.
func isSafe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
