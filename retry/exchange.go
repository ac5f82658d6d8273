package retry

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// exchange is a call in a Transport.
type exchange struct {
	call
	next   http.RoundTripper
	header http.Header // of the request before the first attempt, if next may have changed it since
	worked bool        // an attempt failed that may have been worked on
}

// remember keeps the header for later attempts, if next may change it.
func (x *exchange) remember(req *http.Request) {
	switch {
	case len(req.Header) == 0:
		x.header = noHeader
	case !httpx.Faithful(x.next):
		x.header = req.Header.Clone()
	}
}

// noHeader is never written to: Resend makes each attempt a copy.
var noHeader = http.Header{}

// send makes one attempt. A response that may be a failure comes with a StatusError for RetryIf to judge.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	req, err := x.request(ctx)
	if err != nil {
		x.unsent = true
		return nil, err
	}
	req, x.body = httpx.WatchBody(req)
	resp, err := httpx.RoundTrip(x.next, req)
	x.worked = x.worked || httpx.WorkedInVain(resp, err)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	return resp, httpx.NewStatusError(resp, time.Now())
}

func (x *exchange) request(ctx context.Context) (*http.Request, error) {
	if x.number == 1 {
		return x.first(ctx)
	}
	req, err := httpx.Resend(ctx, x.req, x.header)
	if err != nil {
		return nil, err
	}
	cfg := x.set
	req.Header.Del(httpx.AttemptHeader)
	if !cfg.NoAttemptHeader {
		req.Header.Set(httpx.AttemptHeader, strconv.Itoa(x.number))
	}
	if cfg.PrepareRequest == nil {
		return req, nil
	}
	prepared := false
	defer func() {
		if !prepared { // it failed, or panicked
			httpx.CloseBody(req)
		}
	}()
	if err := cfg.PrepareRequest(req); err != nil {
		return nil, fmt.Errorf("%s: PrepareRequest: %w", x.p.label, err)
	}
	prepared = true
	return req, nil
}

// first is the request of the first attempt: the caller's own if it can be, body and all, so that net/http sees what it
// would see without us.
func (x *exchange) first(ctx context.Context) (*http.Request, error) {
	if most := x.set.BufferBody; most > 0 && !httpx.Replayable(x.req) {
		again, err := buffered(ctx, x.req, most)
		if err != nil {
			return nil, err
		}
		x.req = again
	}
	req := x.req
	if x.tel != nil || x.limited != nil {
		req = req.WithContext(ctx)
	}
	if _, forwarded := req.Header[httpx.AttemptHeader]; forwarded { // a proxy's: it counts the attempts of its own caller
		req = req.WithContext(ctx)
		req.Header = req.Header.Clone()
		req.Header.Del(httpx.AttemptHeader)
	}
	return req, nil
}
