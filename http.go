package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/retry"
)

// A Transporter is a Runner that has an HTTP form of its own. The policies of holdfast have theirs, as [Stack.Transport] knows.
type Transporter interface {
	Transport(next http.RoundTripper) http.RoundTripper
}

// Transport returns next with requests under the stack: each policy in its HTTP form (retry.Transport, hedge.Transport and
// so on, whose documentation says what they do with bodies, statuses and methods). A nil next is http.DefaultTransport; a nil
// Stack lets all requests pass. A Runner that is not of holdfast and no [Transporter] runs the request by its Run; it must not
// run it twice, as nothing is known of what may be repeated: the second time is an error.
func (s *Stack) Transport(next http.RoundTripper) http.RoundTripper {
	next = httpx.Next(next)
	if s == nil {
		return next
	}
	if s.live != nil {
		return &liveTransport{Over: httpx.OverNext(next), stack: s}
	}
	for i := len(s.layers) - 1; i >= 0; i-- {
		next = s.layers[i].transport(next)
	}
	return next
}

func (l *layer) transport(next http.RoundTripper) http.RoundTripper {
	switch l.kind {
	case ofRetry:
		return retry.Transport(l.retry, next)
	case ofBreaker:
		return breaker.TransportFor(l.breaker, next)
	case ofBulkhead:
		return bulkhead.Transport(l.bulkhead, next)
	case ofHedge:
		return hedge.Transport(l.hedge, next)
	case ofLive:
		return l.live.Transport(next)
	}
	if t, ok := l.other.(Transporter); ok {
		return t.Transport(next)
	}
	return &runnerTransport{httpx.OverNext(next), l.other}
}

// runnerTransport sends requests by a Runner of which nothing is known.
type runnerTransport struct {
	httpx.Over
	run Runner
}

// errTwice is permanent: it speaks against nobody that a second run was for, and a third is no use.
var errTwice = backoff.Permanent(errors.New("holdfast: the request was run a second time, by a policy of which it is not known what it may repeat"))

// turn is for one of several goroutines: the request's.
type turn chan struct{}

func newTurn() turn {
	t := make(turn, 1)
	t <- struct{}{}
	return t
}

// take reports whether nobody had it.
func (t turn) take() bool {
	select {
	case <-t:
		return true
	default:
		return false
	}
}

func (t *runnerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	h := &hand[*http.Response]{discard: httpx.Discard}
	defer h.close()
	var sent atomic.Pointer[error] // what came of it, if no response
	mine := newTurn()
	defer func() {
		if mine.take() { // it was not sent
			httpx.CloseBody(req)
		}
	}()
	err := t.run.Run(req.Context(), func(ctx context.Context) error {
		if !mine.take() {
			return errTwice
		}
		resp, err := roundTripUnder(ctx, t.Below, req)
		if resp != nil {
			resp.Request = req
			h.put(resp, nil)
			if httpx.Failure(resp.StatusCode) {
				return httpx.NewStatusError(resp, time.Now())
			}
		}
		sent.Store(&err)
		return err
	})
	if resp := h.take(); resp != nil {
		return resp, nil
	}
	if first := sent.Load(); first != nil && errors.Is(err, errTwice) { // whether that may be repeated is for who is outside
		return nil, *first
	}
	if err == nil {
		err = errors.New("holdfast: a policy has made a success of a request that has no response")
	}
	return nil, err
}

// roundTripUnder sends the request under what a Runner has made of its context. Most end that when they return, and the body
// is read after: from the response on the request is under the caller's context alone.
func roundTripUnder(ctx context.Context, below http.RoundTripper, req *http.Request) (*http.Response, error) {
	if ctx == req.Context() {
		return httpx.RoundTrip(below, req)
	}
	limit, _ := ctx.Deadline()
	under := deadline.New(&ofRunner{req.Context(), ctx}, limit)
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // the limit tells that by itself
			under.Cancel()
		}
	})
	answered := false
	defer func() {
		stop()
		if !answered {
			under.Cancel()
		}
	}()
	resp, err := httpx.RoundTrip(below, req.WithContext(under))
	if answered = resp != nil; answered {
		under.Release()
	}
	return resp, err
}

// ofRunner ends with the caller's context, and has the values of the Runner's.
type ofRunner struct {
	context.Context
	runners context.Context
}

func (c *ofRunner) Value(key any) any { return c.runners.Value(key) }

// AfterFunc spares package context, and us, a goroutine for each request: from the values nobody could tell whose end it has.
func (c *ofRunner) AfterFunc(f func()) func() bool { return context.AfterFunc(c.Context, f) }

var _ deadline.Ender = (*ofRunner)(nil)

// EndsWith says whose end it has.
func (c *ofRunner) EndsWith() context.Context { return c.Context }

// Handler returns next with its requests under the stack, on the server's side: a bulkhead in its HTTP form, a breaker, and
// other Runners, by their Run, with a status of 5xx (but 501 and 505) as a failure. What is refused is answered with 503 and
// a Retry-After. What retries below it have tried to the end is marked, as by [retry.Handler], so that no retry above, in the
// process that asked, repeats it. A nil Stack lets all requests pass.
//
// It panics if there is a retry or a hedge in the stack, or next is nil: a request can be answered once.
func (s *Stack) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("holdfast.Stack.Handler: next is nil")
	}
	if s == nil {
		return next
	}
	if s.live != nil {
		return newLiveHandler(s, next)
	}
	for i := len(s.layers) - 1; i >= 0; i-- {
		next = s.layers[i].handler(next)
	}
	return retry.Handler(next)
}

func (l *layer) handler(next http.Handler) http.Handler {
	switch {
	case !l.on():
		return next
	case l.kind == ofBulkhead:
		return bulkhead.Handler(l.bulkhead, next)
	case l.kind == ofBreaker:
		return &runnerHandler{l.breaker, next}
	case l.kind == ofLive:
		return l.live.Handler(next)
	case l.kind == ofOther:
		return &runnerHandler{l.other, next}
	}
	panic(fmt.Sprintf("holdfast.Stack.Handler: %v in the stack: a request can be answered once", l))
}

// errRefusedBelow is what a policy sees of a request that a handler below it has refused, and answered.
var errRefusedBelow refusedBelow

type refusedBelow struct{}

func (refusedBelow) Error() string { return "holdfast: refused by a handler below" }

func (refusedBelow) Refused() bool { return true }

// runnerHandler serves requests by a Runner.
type runnerHandler struct {
	run  Runner
	next http.Handler
}

func (h *runnerHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mine, over := newTurn(), make(chan struct{})
	status, under := 0, r
	var below httpx.Refusal
	served := func() bool {
		if mine.take() { // and nobody else will
			return false
		}
		<-over          // w is the server's again when we return: a Runner that does not wait must not leave it with next
		if under != r { // what the mux has put into its copy is for who is outside
			r.Pattern, r.MultipartForm = under.Pattern, under.MultipartForm
		}
		return true
	}
	returned := false
	defer func() {
		if !returned { // a panic, or runtime.Goexit
			served()
		}
	}()
	err := h.run.Run(r.Context(), func(ctx context.Context) error {
		if !mine.take() {
			return errTwice
		}
		defer close(over)
		under = r.WithContext(httpx.WatchRefusal(ctx, &below))
		h.next.ServeHTTP(httpx.OnWriteHeader(w, func(code int, _ http.Header) { status = code }), under)
		if err := ctx.Err(); errors.Is(err, context.Canceled) { // the client has gone
			return err
		}
		if below.Seen() { // and answered, which is no work
			return errRefusedBelow
		}
		if httpx.Failure(status) && status != http.StatusTooManyRequests { // that is about one client
			return httpx.NewStatusError(&http.Response{StatusCode: status, Header: w.Header()}, time.Now())
		}
		return nil
	})
	returned = true
	if !served() {
		refuse(w, r.Context(), err)
	}
}

// refuse answers a request that was not served: whatever the policy says, 200 would be a lie.
func refuse(w http.ResponseWriter, ctx context.Context, err error) {
	if canceled(ctx) && errors.Is(err, context.Canceled) {
		httpx.HangUp(w)
		return
	}
	after, _ := failure.RetryAfter(err)
	httpx.Refuse(ctx, w, http.StatusServiceUnavailable, after)
}
