package hedge

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// exchange is a call in a Transport.
//
// A caller who has closed the response's body may change the request and send it again (net/http.RoundTripper says so),
// while an attempt that lost is still reading it, or is only about to start. So attempts are made of copies, and those are
// made while the caller waits for certain.
type exchange struct {
	call     call[*http.Response]
	req      *http.Request // the caller's
	first    *http.Request // the first attempt's; nil: it has not begun, and the caller's body is in nobody's hands
	url      url.URL       // the first attempt's
	copied   *http.Request // what further attempts are made of, once there is one
	next     http.RoundTripper
	hopeless atomic.Bool // what the caller gave to send has failed
}

// noHeader is the header of requests without one, for those who are known not to write there.
var noHeader = http.Header{}

func newExchange(req *http.Request, next http.RoundTripper) *exchange {
	x := &exchange{req: req, next: next}
	x.call.fn, x.call.discard = x.send, httpx.Discard
	return x
}

// begin makes the first attempt's request, which has the caller's body. It is called in the caller's goroutine.
func (x *exchange) begin(ctx context.Context) {
	first := x.req.WithContext(ctx)
	if x.req.URL != nil {
		x.url = *x.req.URL
		first.URL = &x.url
	}
	if first.Header = noHeader; len(x.req.Header) > 0 || x.req.Header == nil || !httpx.Faithful(x.next) {
		first.Header = x.req.Header.Clone()
	}
	x.first = first
}

// another prepares for one more attempt. It is called while the race is open and cannot be decided.
func (x *exchange) another() {
	if x.copied != nil {
		return
	}
	x.copied = x.req.WithContext(x.req.Context())
	x.copied.Header = x.req.Header.Clone()
	x.copied.URL = cloneURL(x.req.URL)
}

func cloneURL(u *url.URL) *url.URL {
	if u == nil {
		return nil
	}
	own := *u
	return &own
}

// send makes one attempt. A response that may be a failure comes with a StatusError for HedgeIf to judge.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	req := x.first
	if attempt.From(ctx) > 1 {
		var err error
		if req, err = x.again(ctx); err != nil {
			return nil, err
		}
	}
	req, body := httpx.WatchBody(req)
	answered := false
	defer func() {
		if !answered { // next panicked, and may not have come to it
			httpx.CloseBody(req)
		}
	}()
	resp, err := httpx.RoundTrip(x.next, req)
	answered = true
	switch {
	case err != nil && body.Caused(err):
		x.hopeless.Store(true)
		return nil, err
	case err != nil || !httpx.Retryable(resp.StatusCode):
		return resp, err
	}
	return resp, httpx.NewStatusError(resp, time.Now())
}

// again is the request of an attempt after the first. It has a header, a URL and a body of its own.
func (x *exchange) again(ctx context.Context) (*http.Request, error) {
	if ctx.Err() != nil { // GetBody is not called for one that has lost
		return nil, context.Cause(ctx)
	}
	req, err := httpx.Resend(ctx, x.copied, nil)
	if err != nil {
		x.hopeless.Store(true)
		return nil, err
	}
	req.URL = cloneURL(req.URL)
	return req, nil
}

// pointless reports whether another attempt could not do better: it is the caller who ends the call, or makes it fail.
func (x *exchange) pointless() bool {
	if x == nil {
		return false
	}
	select {
	case <-x.first.Cancel: //lint:ignore SA1019 http.Client uses it still for its Timeout
		return true
	default:
		return x.hopeless.Load()
	}
}
