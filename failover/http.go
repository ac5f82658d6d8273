package failover

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with each request sent to a target of g: the target's scheme, host and base path take the place of
// the request's (http://users/v1/me goes to https://10.0.0.7:8443/api/v1/me). A nil next is http.DefaultTransport; a nil g
// lets requests pass as they are.
//
// What goes to another target: a request that may be repeated (Config.RepeatRequest) and whose body can be made anew, after
// an error or a status that is retryable (408, 425, 429, 500, 502, 503, 504); any request whose body can be made anew when
// the target refused it, or the connection was never made. Upgrades and CONNECT are sent once.
//
// What comes back: the first good response; else the last response, with a nil error and its body unread; an error only if
// the last attempt had no response. A response that is dropped is drained within a bound and closed. Its Request is the
// caller's, which is not modified.
//
// The result of an attempt is known when its header is there; until its body is closed it counts as under way, for the
// Balance, and Config.AttemptTimeout runs on.
//
// All headers go to each target, as the targets of a group are one service; but what was to go over TLS loses its
// credentials (Authorization, Cookie, Proxy-Authorization) on the way to a target without.
func Transport(g *Group[*url.URL], next http.RoundTripper) http.RoundTripper {
	return &transport{g, httpx.Next(next)}
}

type transport struct {
	group *Group[*url.URL]
	next  http.RoundTripper
}

// Unwrap returns the transport underneath, for tools that look for one.
func (t *transport) Unwrap() http.RoundTripper { return t.next }

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { httpx.CloseIdleConnections(t.next) }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.group == nil {
		return t.next.RoundTrip(req)
	}
	g := t.group.inner()
	ctx := req.Context()
	if g.set.requestKey != nil && ctx.Err() == nil {
		ctx = g.withRequestKey(ctx, req)
	}
	x := exchange{req: req, next: t.next, safe: g.mayRepeat(req)}
	if err := x.begin(ctx, g, false); err != nil {
		httpx.CloseBody(req)
		return nil, err
	}
	x.call.exchange, x.call.careful = &x, !x.safe
	resp, err := run(&x.call, x.send, httpx.Discard)
	if !x.sent {
		httpx.CloseBody(req)
	}
	if resp == nil {
		x.cancelAttempt()
		return nil, x.noResponse(err)
	}
	if err != nil && x.ctx.Err() != nil { // the caller no longer wants it
		httpx.Discard(resp)
		x.cancelAttempt()
		return nil, err
	}
	x.handOut(resp)
	return resp, nil
}

// withRequestKey asks RequestKey, and sees to the body should that panic.
func (g *core) withRequestKey(ctx context.Context, req *http.Request) context.Context {
	asked := false
	defer func() {
		if !asked {
			httpx.CloseBody(req)
		}
	}()
	key := g.set.requestKey(req)
	asked = true
	if key == "" {
		return ctx
	}
	return WithKey(ctx, key)
}

// mayRepeat reports whether a request may be sent to another target after it may have reached one.
func (g *core) mayRepeat(req *http.Request) bool {
	if httpx.IsUpgrade(req) || !httpx.Replayable(req) {
		return false
	}
	if g.set.repeatRequest == nil {
		return httpx.Idempotent(req)
	}
	asked := false
	defer func() {
		if !asked {
			httpx.CloseBody(req)
		}
	}()
	may := g.set.repeatRequest(req)
	asked = true
	return may
}

// exchange is a call in a Transport.
type exchange struct {
	call
	req  *http.Request
	next http.RoundTripper
	safe bool        // it may be repeated after it may have reached a target
	sent bool        // an attempt had the caller's body
	body *httpx.Body // of the attempt, if it is watched
}

// caused reports whether an error is that of the request's own body.
func (x *exchange) caused(err error) bool { return x != nil && x.body.Caused(err) }

// repeatable reports whether the request may go to another target after this failure.
func (x *exchange) repeatable(err error) bool {
	switch {
	case x == nil || x.safe:
		return true
	case httpx.IsUpgrade(x.req) || !httpx.Replayable(x.req):
		return false
	}
	return failure.Refused(err) || httpx.NotSent(err)
}

// send makes one attempt. A response that may be a failure comes with a StatusError to judge.
func (x *exchange) send(ctx context.Context, to *url.URL) (*http.Response, error) {
	req, err := x.request(ctx, to)
	if err != nil {
		return nil, err
	}
	req, x.body = httpx.WatchBody(req)
	x.sent = true
	resp, err := httpx.RoundTrip(x.next, req)
	if err != nil || resp.StatusCode < 400 || !httpx.Retryable(resp.StatusCode) && !httpx.Failure(resp.StatusCode) {
		return resp, err
	}
	return resp, httpx.NewStatusError(resp, time.Now())
}

// request is that of an attempt. The first has the caller's body.
func (x *exchange) request(ctx context.Context, to *url.URL) (*http.Request, error) {
	var req *http.Request
	if x.number == 1 {
		req = x.req.WithContext(ctx)
		if !httpx.Faithful(x.next) {
			req.Header = x.req.Header.Clone()
		}
	} else {
		var err error
		if req, err = httpx.Resend(ctx, x.req, nil); err != nil {
			return nil, err
		}
	}
	if to == nil { // the zero value of a target: nothing to rewrite
		return req, nil
	}
	req.URL = rewritten(x.req.URL, to)
	switch {
	case !x.g.set.keepHost:
		req.Host = ""
	case req.Host == "":
		req.Host = x.req.URL.Host
	}
	if x.req.URL.Scheme == "https" && to.Scheme == "http" {
		req.Header = req.Header.Clone()
		for _, secret := range [...]string{"Authorization", "Cookie", "Proxy-Authorization"} {
			req.Header.Del(secret)
		}
	}
	return req, nil
}

// rewritten is a URL at another place.
func rewritten(u, to *url.URL) *url.URL {
	at := *u
	at.Scheme, at.Host = to.Scheme, to.Host
	if to.User != nil {
		at.User = to.User
	}
	if base := strings.TrimSuffix(to.EscapedPath(), "/"); base != "" {
		path := base + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
		if u.Path == "" {
			path = base
		}
		if plain, err := url.PathUnescape(path); err == nil {
			at.Path, at.RawPath = plain, path
		}
	}
	switch {
	case to.RawQuery == "":
	case u.RawQuery == "":
		at.RawQuery = to.RawQuery
	default:
		at.RawQuery = to.RawQuery + "&" + u.RawQuery
	}
	return &at
}

// noResponse is the error to return. A single attempt's is net/http's own, as its callers compare it.
func (x *exchange) noResponse(err error) error {
	if failed, ok := err.(*Error); ok && len(failed.Tried) == 1 && x.ctx.Err() == nil {
		return failed.Tried[0].Err
	}
	return err
}

// handOut makes a response the caller's. Until its body is closed it is work for the target.
func (x *exchange) handOut(resp *http.Response) {
	resp.Request = x.req
	limited, t := x.limited, x.t
	if httpx.IsUpgrade(x.req) && resp.StatusCode < 300 { // from here on it is a connection, and nobody's attempt
		if limited != nil {
			limited.Release()
		}
		return
	}
	t.inFlight.Add(1)
	httpx.OnClose(resp, func() {
		t.inFlight.Add(-1)
		if limited != nil {
			limited.Cancel()
		}
	})
}
