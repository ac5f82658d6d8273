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
// while an attempt that lost is still reading it, or is only about to start. So attempts are made of a copy.
type exchange struct {
	req      http.Request // as it was
	url      url.URL      // what req.URL points to
	next     http.RoundTripper
	faithful bool        // next leaves requests alone
	begun    bool        // the first attempt has: the caller's body is in its hands
	hopeless atomic.Bool // what the caller gave to send has failed
}

// noHeader is the header of requests without one. It is never written to.
var noHeader = http.Header{}

func newExchange(req *http.Request, next http.RoundTripper) *exchange {
	x := &exchange{req: *req, next: next, faithful: httpx.Faithful(next)}
	if req.URL != nil {
		x.url = *req.URL
		x.req.URL = &x.url
	}
	if x.req.Header = noHeader; req.Header == nil || len(req.Header) > 0 {
		x.req.Header = req.Header.Clone()
	}
	return x
}

// send makes one attempt. A response that may be a failure comes with a StatusError for HedgeIf to judge.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	req, err := x.request(ctx)
	if err != nil {
		return nil, err
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

// request is that of the attempt of ctx. The first has the caller's body; and the header as it is, unless somebody below
// might write there while the next attempt copies it.
func (x *exchange) request(ctx context.Context) (*http.Request, error) {
	again := attempt.From(ctx) > 1
	if again && ctx.Err() != nil { // GetBody is not called for one that has lost
		return nil, context.Cause(ctx)
	}
	var req *http.Request
	if again {
		var err error
		if req, err = httpx.Resend(ctx, &x.req, nil); err != nil {
			x.hopeless.Store(true)
			return nil, err
		}
	} else {
		req = x.req.WithContext(ctx)
	}
	if x.faithful {
		return req, nil
	}
	if !again {
		req.Header = x.req.Header.Clone()
	}
	if req.URL != nil {
		own := x.url
		req.URL = &own
	}
	return req, nil
}

// pointless reports whether another attempt could not do better: it is the caller who ends the call, or makes it fail.
func (x *exchange) pointless() bool {
	if x == nil {
		return false
	}
	select {
	case <-x.req.Cancel: //lint:ignore SA1019 http.Client uses it still for its Timeout
		return true
	default:
		return x.hopeless.Load()
	}
}
