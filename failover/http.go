package failover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with each request sent to a target of g: the target's scheme, host and base path take the place of
// the request's (http://users/v1/me goes to https://10.0.0.7:8443/api/v1/me). A nil next is http.DefaultTransport; a nil g
// lets requests pass as they are.
//
// What goes to another target: a request that may be repeated (Config.RepeatRequest) and whose body can be made anew, after
// an error or a status that is retryable (408, 425, 429, 500, 502, 503, 504); any request whose body can be made anew when
// the target refused it (a bulkhead.Handler says so: 503 or 429 with Holdfast-Refused: yes), or the connection was never made.
// Upgrades and CONNECT are sent once.
//
// What a target refuses is no failure of it, and moving on is not asked of the Budget: it costs one attempt, of MaxTries. A target
// that refuses all is not ejected for that; a Probe can find it out. All targets are believed in this. Where one is not to be, take
// the header from its responses below this Transport.
//
// What comes back: the first good response; else the last response, with a nil error and its body unread; an error only if
// the last attempt had no response: an [*Error], or that attempt's own where another target would not have mended it (the
// request is malformed). A response that is dropped is drained within a bound and closed. Its Request is the caller's, which
// is not modified.
//
// A redirect comes back as the target wrote it: a Location under the target's base path has that path, and a client that
// follows it through this Transport gets the base path twice. Give targets that redirect no base path.
//
// The result of an attempt is known when its header is there; until its body is closed it counts as under way, for the
// Balance, and Config.AttemptTimeout runs on.
//
// All headers go to each target, as the targets of a group are one service; but what was to go over TLS loses its
// credentials (Authorization, Cookie, Proxy-Authorization) on the way to a target without. A target whose URL has a user
// gets those of it, if the request has no Authorization.
func Transport(g *Group[*url.URL], next http.RoundTripper) http.RoundTripper {
	return &transport{httpx.OverNext(next), g}
}

type transport struct {
	httpx.Over
	group *Group[*url.URL]
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.group == nil {
		return t.Below.RoundTrip(req)
	}
	if req.URL == nil {
		httpx.CloseBody(req)
		return nil, fmt.Errorf("%s: %w", t.group.name(), errNilURL)
	}
	x := exchange{req: req, next: t.Below}
	defer func() {
		if !x.sent { // there was no target, or a callback panicked before there was one
			httpx.CloseBody(req)
		}
	}()
	g, ctx := t.group.inner(), req.Context()
	if ctx.Err() == nil {
		x.table = g.table.Load()
		x.set = x.table.set
		ctx, x.safe = x.set.withRequestKey(ctx, req), x.set.mayRepeat(req)
	}
	if err := x.begin(ctx, g, false); err != nil {
		return nil, err
	}
	x.call.exchange, x.call.careful = &x, !x.safe
	resp, err := run(&x.call, x.send, httpx.Discard)
	if resp == nil {
		x.cancelAttempt()
		return nil, x.noResponse(err)
	}
	if err != nil && x.ended() != nil { // the caller no longer wants it
		httpx.Discard(resp)
		x.cancelAttempt()
		return nil, err
	}
	x.handOut(resp)
	return resp, nil
}

// withRequestKey asks RequestKey what the request sticks to.
func (s *settings) withRequestKey(ctx context.Context, req *http.Request) context.Context {
	if s.requestKey == nil {
		return ctx
	}
	if key := s.requestKey(req); key != "" {
		return WithKey(ctx, key)
	}
	return ctx
}

// mayRepeat reports whether a request may be sent to another target after it may have reached one.
func (s *settings) mayRepeat(req *http.Request) bool {
	switch {
	case httpx.IsUpgrade(req) || !httpx.Replayable(req):
		return false
	case s.repeatRequest != nil:
		return s.repeatRequest(req)
	}
	return httpx.Idempotent(req)
}

// exchange is a call in a Transport.
type exchange struct {
	call
	table  *table // whose settings the call goes by
	req    *http.Request
	next   http.RoundTripper
	safe   bool        // it may be repeated after it may have reached a target
	worked bool        // an attempt failed that may have been worked on
	sent   bool        // an attempt had the caller's body
	unsent bool        // the request of the attempt could not be made
	body   *httpx.Body // of the attempt, if it is watched
}

// caused reports whether an error is the caller's own doing: the body could not be read, or not be made anew, or the request
// is malformed. No target would mend that.
func (x *exchange) caused(err error) bool {
	return x != nil && (x.unsent || x.body.Caused(err) || httpx.Malformed(err, x.set.keepHost))
}

// canceled says why the request's Cancel is closed; nil: it is not.
func (x *exchange) canceled() error {
	if x == nil {
		return nil
	}
	select {
	//lint:ignore SA1019 http.Client.Timeout still uses it for transports that are not its own
	case <-x.req.Cancel:
	default:
		return nil
	}
	// http.Client.Timeout closes the channel and sets a deadline, and either may come first.
	const soon = 50 * time.Millisecond
	if until, ok := x.ctx.Deadline(); ok && time.Until(until) < soon {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

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
	if to == nil {
		x.closeUnsent()
		return nil, noURLError{}
	}
	req, err := x.request(ctx, to)
	if err != nil {
		x.unsent = true
		return nil, err
	}
	req, x.body = httpx.WatchBody(req)
	x.sent = true
	resp, err := httpx.RoundTrip(x.next, req)
	x.worked = x.worked || httpx.WorkedInVain(resp, err)
	if err != nil || resp.StatusCode < 400 || !httpx.Retryable(resp.StatusCode) && !httpx.Failure(resp.StatusCode) {
		return resp, err
	}
	return resp, httpx.Verdict(resp, time.Now())
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
	x.redirect(req, to)
	return req, nil
}

// closeUnsent is for a first attempt that sends nothing: the next one has a body of its own.
func (x *exchange) closeUnsent() {
	if !x.sent {
		x.sent = true
		httpx.CloseBody(x.req)
	}
}

var errNilURL = errors.New("http: nil Request.URL") // in net/http's words, by which the policies above know it

// noURLError is what comes of a target without a URL.
type noURLError struct{}

func (noURLError) Error() string { return "the target's URL is nil" }

// NotSent reports true: any request may go to another target.
func (noURLError) NotSent() bool { return true }

// redirect makes an attempt's request one to a target.
func (x *exchange) redirect(req *http.Request, to *url.URL) {
	req.URL = rewritten(x.req, to)
	switch {
	case !x.set.keepHost:
		req.Host = ""
	case req.Host == "":
		req.Host = x.req.URL.Host
	}
	exposed := x.req.URL.Scheme == "https" && to.Scheme == "http"
	if !exposed && to.User == nil {
		return
	}
	if req.Header = req.Header.Clone(); req.Header == nil {
		req.Header = http.Header{}
	}
	if exposed {
		for _, secret := range [...]string{"Authorization", "Cookie", "Proxy-Authorization"} {
			req.Header.Del(secret)
		}
	}
	if to.User != nil && req.Header.Get("Authorization") == "" { // as http.Client does
		password, _ := to.User.Password()
		req.SetBasicAuth(to.User.Username(), password)
	}
}

// rewritten is the URL of a request at another place.
func rewritten(req *http.Request, to *url.URL) *url.URL {
	u := req.URL
	at := *u
	at.Scheme, at.Host = to.Scheme, to.Host
	if to.User != nil {
		at.User = to.User
	}
	if req.Method == http.MethodConnect || u.Path == "*" { // that is no path
		return &at
	}
	path := to.EscapedPath()
	if u.Path != "" {
		path = strings.TrimSuffix(path, "/") + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	}
	if plain, err := url.PathUnescape(path); err == nil {
		at.Path, at.RawPath = plain, path
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

// noResponse is the error to return. What net/http and its Client look for in a single attempt's error, without unwrapping
// it, is left bare.
func (x *exchange) noResponse(err error) error {
	failed, ok := err.(*Error)
	if !ok || len(failed.Tried) != 1 || x.ended() != nil {
		return err
	}
	own := failed.Tried[0].Err
	if _, plain := own.(tls.RecordHeaderError); plain || own == http.ErrSkipAltProtocol {
		return own
	}
	return err
}

// handOut makes a response the caller's. Until its body is closed it is work for the target.
func (x *exchange) handOut(resp *http.Response) {
	resp.Request = x.req
	if x.worked {
		httpx.UnmarkRefused(resp)
	}
	limited, t := x.limited, x.t
	if httpx.IsUpgrade(x.req) && resp.StatusCode < 300 { // from here on it is a connection, and nobody's attempt
		if limited != nil {
			limited.Release()
		}
		return
	}
	t.inFlight.add(1)
	t.open.Add(1)
	httpx.OnClose(resp, reading{t, limited})
}

// reading is a response whose body is still read: work for its target, under the attempt's limit.
type reading struct {
	t       *target
	limited deadline.Limited // nil: none
}

func (r reading) End() {
	r.t.open.Add(-1)
	r.t.inFlight.add(-1)
	if r.limited != nil {
		r.limited.Cancel()
	}
}
