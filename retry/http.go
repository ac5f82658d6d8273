package retry

import (
	"context"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with requests under the policy. A nil next is http.DefaultTransport.
//
// What is sent again: idempotent requests (see Config.RepeatRequest) whose body can be made anew, after an error or
// one of the statuses of [Retryable]; any request when the connection was never made. Retry-After is heard, and so
// is a server that says a repeat is pointless ([Handler], [DoNotRetry]).
//
// What comes back: the first good response; else the last response with a nil error, its body unread; an error
// only if the last attempt had no response (a refusal too, whatever came before): net/http's own error if it was not
// worth a retry, else an [*Error]. A response that is dropped is drained within a bound and closed. When
// retries are exhausted the response is marked so for retries above, in this process or another.
//
// The request is not modified. Config.AttemptTimeout runs on until the response's body is closed.
func Transport(p *Policy, next http.RoundTripper) http.RoundTripper {
	return &transport{httpx.OverNext(next), p}
}

type transport struct {
	httpx.Over
	policy *Policy
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.policy == nil {
		return t.Below.RoundTrip(req)
	}
	x := exchange{next: t.Below}
	if err := x.begin(req.Context(), t.policy, false); err != nil {
		httpx.CloseBody(req)
		return nil, err
	}
	x.req = req
	x.remember(req)
	resp, err := run(&x.call, func(ctx context.Context) (*http.Response, error) { return x.send(ctx) }, httpx.Discard)
	failed, _ := failure.Find[*Error](err)
	if resp == nil {
		return nil, x.noResponse(failed, err)
	}
	if failed != nil && !isReason(failed.Reason) { // the caller no longer wants it
		httpx.Discard(resp)
		x.release()
		return nil, err
	}
	x.handOut(req, resp, failed)
	return resp, nil
}

// noResponse is the error to return. If nothing was to be retried it is net/http's own, as its callers compare it.
func (x *exchange) noResponse(failed *Error, err error) error {
	x.release()
	if failed != nil && failed.Attempts == 1 && (failed.Reason == ErrNotRetryable || failed.Reason == ErrAttempts) {
		return failed.Err
	}
	return err
}

// handOut makes a response the caller's.
func (x *exchange) handOut(req *http.Request, resp *http.Response, failed *Error) {
	resp.Request = req
	if x.worked {
		httpx.UnmarkRefused(resp)
	}
	if failed != nil && failed.Exhausted() {
		resp.Header = resp.Header.Clone() // a test double may hand out one header for all its responses
		if resp.Header == nil {
			resp.Header = http.Header{}
		}
		httpx.MarkNoRetry(resp.Header)
	}
	switch {
	case x.limited == nil:
	case httpx.IsUpgrade(req) && resp.StatusCode < 300: // from here on it is a connection, and nobody's attempt
		x.limited.Release()
	default:
		httpx.OnClose(resp, x.limited)
	}
}

// release lets go of an attempt's time limit when there is no body that could be read under it.
func (x *exchange) release() {
	if x.limited != nil {
		x.limited.Cancel()
	}
}

func isReason(err error) bool {
	_, ok := err.(reason)
	return ok
}
