package retry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Transport returns next with requests under the policy. A nil next is http.DefaultTransport.
//
// What is sent again: idempotent requests (see Config.RepeatRequest) whose body can be made anew, after an error or
// one of the statuses of [Retryable]; any request when the connection was never made. Retry-After is heard, and so
// is a server that says a repeat is pointless ([Handler], [DoNotRetry]).
//
// What comes back: the first good response; else the last response with a nil error, its body unread; an error
// only if the last attempt had no response (a refusal too, whatever came before): net/http's own error if there was
// one attempt, else an [*Error]. A response that is dropped is drained within a bound and closed. When
// retries are exhausted the response is marked so for retries above, in this process or another.
//
// The request is not modified. Config.AttemptTimeout runs on until the response's body is closed.
func Transport(p *Policy, next http.RoundTripper) http.RoundTripper {
	next = httpx.Next(next)
	return &transport{p, next, httpx.Faithful(next)}
}

type transport struct {
	policy   *Policy
	next     http.RoundTripper
	faithful bool // next leaves requests as they are
}

// Unwrap returns the transport underneath, for tools that look for one.
func (t *transport) Unwrap() http.RoundTripper { return t.next }

// Faithful says whether requests are left as they are, all the way down: see httpx.Faithful.
func (t *transport) Faithful() bool { return t.faithful }

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { httpx.CloseIdleConnections(t.next) }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.policy == nil {
		return t.next.RoundTrip(req)
	}
	var c call
	if err := c.begin(req.Context(), t.policy, false); err != nil {
		httpx.CloseBody(req)
		return nil, err
	}
	c.req = req
	if n := t.policy.cfg.BufferBody; n > 0 && !httpx.Replayable(req) {
		again, err := buffered(req, n)
		if err != nil {
			c.abandon(err)
			return nil, err
		}
		c.req = again
	}
	var header http.Header // as it was, if next may change it
	if !t.faithful {
		header = req.Header.Clone()
	}
	resp, err := run(&c, func(ctx context.Context) (*http.Response, error) { return t.send(ctx, &c, header) }, httpx.Discard)
	return c.deliver(req, resp, err)
}

// send makes one attempt. A response that may be worth a retry comes with a StatusError for RetryIf to judge.
func (t *transport) send(ctx context.Context, c *call, header http.Header) (*http.Response, error) {
	req, err := t.request(ctx, c, header)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	resp, err := httpx.RoundTrip(t.next, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	status := httpx.NewStatusError(resp, time.Now())
	if httpx.Failure(status.StatusCode) || t.policy.cfg.RetryIf(status) {
		return resp, status
	}
	return resp, nil // the request's own fault: the server is well
}

// request returns the request of this attempt. The first is the caller's own, body and all, so that net/http sees
// what it would see without us.
func (t *transport) request(ctx context.Context, c *call, header http.Header) (*http.Request, error) {
	if c.number == 1 {
		if c.tel == nil && c.limited == nil {
			return c.req, nil
		}
		return c.req.WithContext(ctx), nil
	}
	req, err := httpx.Resend(ctx, c.req, header)
	if err != nil {
		return nil, err
	}
	cfg := &t.policy.cfg
	if !cfg.NoAttemptHeader {
		req.Header.Set(httpx.AttemptHeader, strconv.Itoa(c.number))
	}
	if cfg.PrepareRequest != nil {
		if err := cfg.PrepareRequest(req); err != nil {
			httpx.CloseBody(req)
			return nil, fmt.Errorf("%s: PrepareRequest: %w", t.policy.label, err)
		}
	}
	return req, nil
}

// deliver turns the end of the loop into what a RoundTripper returns: a response or an error, never both.
func (c *call) deliver(req *http.Request, resp *http.Response, err error) (*http.Response, error) {
	var failed *Error
	errors.As(err, &failed)
	if resp == nil {
		if c.limited != nil {
			c.limited.Cancel()
		}
		if failed != nil && failed.Attempts == 1 && failed.Reason != nil && isReason(failed.Reason) {
			return nil, failed.Err // nothing was retried: net/http's own error, as its callers compare it
		}
		return nil, err
	}
	if failed != nil && !isReason(failed.Reason) {
		httpx.Discard(resp) // the caller no longer wants it
		return nil, err
	}
	if failed != nil && failed.Exhausted() && (failed.Attempts > 1 || failed.Reason != ErrNotRetryable) {
		resp.Header = resp.Header.Clone() // a test double may hand out one header for all its responses
		if resp.Header == nil {
			resp.Header = http.Header{}
		}
		httpx.MarkNoRetry(resp.Header)
	}
	resp.Request = req
	if c.limited != nil {
		if resp.StatusCode == http.StatusSwitchingProtocols {
			c.limited.Release()
		} else {
			httpx.OnClose(resp, c.limited.Cancel)
		}
	}
	return resp, nil
}

func isReason(err error) bool {
	_, ok := err.(reason)
	return ok
}

// abandon ends a call whose request could not be read.
func (c *call) abandon(err error) {
	c.p.counts.ignored.Add(1)
	c.tel.End(c.ctx, telemetry.Canceled, err, 0)
}
