package hedge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
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
	hopeless atomic.Bool // what the caller gave to send has failed, or there is a response that no attempt may follow
	worked   atomic.Bool // an attempt failed that may have been worked on

	most   int // attempts that there can be
	gate   sync.Mutex
	made   int  // attempts that were sent
	inside int  // of these, those without an answer
	held   bool // a failed response with an open body is the caller's: see keep
}

func newExchange(req *http.Request, next http.RoundTripper, most int) *exchange {
	x := &exchange{req: req, next: next, most: most}
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
	// Also an empty one is a copy: net/http leaves it alone, but the Proxy function of its Transport gets the request.
	first.Header = x.req.Header.Clone()
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

// send makes one attempt. A response that is a failure comes with a StatusError for HedgeIf to judge.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	deep(false)
	req, number := x.first, attempt.From(ctx)
	if number > 1 {
		var err error
		if req, err = x.again(ctx); err != nil {
			return nil, err
		}
	}
	resp, err := x.roundTrip(req)
	if err != nil {
		return nil, err
	}
	if err = x.judge(resp); err == nil {
		return resp, nil
	}
	if number > 1 { // if all fail, the caller gets what the first attempt did
		httpx.Discard(resp)
		return nil, err
	}
	x.keep(ctx, resp)
	return resp, err
}

func (x *exchange) roundTrip(req *http.Request) (*http.Response, error) {
	if !x.enter() {
		httpx.CloseBody(req)
		return nil, errHeld
	}
	defer x.exit()
	req, body := httpx.WatchBody(req)
	answered := false
	defer func() {
		if !answered { // next panicked, and may not have come to it
			httpx.CloseBody(req)
		}
	}()
	resp, err := httpx.RoundTrip(x.next, req)
	answered = true
	if err != nil && body.Caused(err) {
		x.hopeless.Store(true)
	}
	if httpx.WorkedInVain(resp, err) {
		x.worked.Store(true)
	}
	return resp, err
}

// judge returns the error that a response is; nil: it is an answer.
func (x *exchange) judge(resp *http.Response) error {
	switch status := resp.StatusCode; {
	case (status == http.StatusConflict || status == http.StatusTooEarly) && !isSafe(x.first.Method) && x.several():
		return &contestedError{httpx.NewStatusError(resp, time.Now())}
	case httpx.Retryable(status) || httpx.Failure(status):
		return httpx.NewStatusError(resp, time.Now())
	}
	return nil
}

// contestedError is a status that may say no more than that another attempt of the same request is being worked on (of a
// request with a key: draft-ietf-httpapi-idempotency-key-header, 2.6). That one has the answer; a third would get this
// status too.
type contestedError struct{ status *StatusError }

func (e *contestedError) Error() string { return e.status.Error() }
func (e *contestedError) Unwrap() error { return e.status }

// keep takes what a failed response holds, its connection and its places in what is below, out of the way of other attempts,
// which may wait for just that: it is read into memory. If it is too long or too slow for that, and
//
//   - no other attempt is under way: it goes to the caller as it is, and none is sent any more;
//   - one is: it is closed, and the caller who gets it sees from its body's error that something is missing.
func (x *exchange) keep(ctx context.Context, resp *http.Response) {
	if x.hold(x.most) || httpx.Keep(ctx, resp) || x.hold(0) {
		return
	}
	httpx.Cut(resp, errCut)
}

var (
	errHeld = errors.New("hedge: not sent: an attempt's failed response is kept open for the caller")
	errCut  = errors.New("hedge: the rest of a failed response was not kept, as another attempt was under way")
)

// enter lets an attempt be sent, unless a response is held.
func (x *exchange) enter() bool {
	x.gate.Lock()
	defer x.gate.Unlock()
	if x.held {
		return false
	}
	x.made++
	x.inside++
	return true
}

func (x *exchange) exit() {
	x.gate.Lock()
	defer x.gate.Unlock()
	x.inside--
}

// several reports whether more than one attempt was sent.
func (x *exchange) several() bool {
	x.gate.Lock()
	defer x.gate.Unlock()
	return x.made > 1
}

// hold keeps attempts from being sent, if at least so many were and none of them waits for an answer.
func (x *exchange) hold(made int) bool {
	x.gate.Lock()
	defer x.gate.Unlock()
	if x.made < made || x.inside > 0 {
		return false
	}
	x.held = true
	x.hopeless.Store(true)
	return true
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

// pointless reports whether another attempt could not do better: it is the caller who ends the call, or makes it fail; or
// none may begin, see keep.
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
