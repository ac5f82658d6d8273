package chaos

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Transport returns next with faults before requests, in the place of responses, and in their bodies. A nil next is
// http.DefaultTransport; a nil in lets all requests pass, as one that is off does.
//
// A request that a fault keeps from being sent has its body closed all the same. What Fault.After takes away was sent, and its
// response is discarded. Faults of the body leave alone what has none, and connections that speak another protocol now.
func Transport(in *Injector, next http.RoundTripper) http.RoundTripper {
	return &transport{in, httpx.Next(next)}
}

type transport struct {
	in   *Injector
	next http.RoundTripper
}

// Unwrap returns the transport underneath, for tools that look for one.
func (t *transport) Unwrap() http.RoundTripper { return t.next }

// Faithful says whether requests are left as they are, all the way down: see httpx.Faithful.
func (t *transport) Faithful() bool { return httpx.Faithful(t.next) }

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { httpx.CloseIdleConnections(t.next) }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	r := t.in.running()
	if r == nil {
		return t.next.RoundTrip(req)
	}
	sent := false
	defer func() {
		if !sent { // by a fault, or a panic
			httpx.CloseBody(req)
		}
	}()
	c := newCall(req.Context(), t.in, r, req)
	if f, err := c.strike(before); err != nil {
		return c.instead(f, err)
	}
	sent = true
	resp, err := httpx.RoundTrip(t.next, req)
	return c.answered(resp, err)
}

// instead is what the caller gets of a call that a fault has ended.
func (c *call) instead(f *Fault, err error) (*http.Response, error) {
	if f.Kind != Status {
		return nil, err
	}
	d := c.diceOf(f)
	resp := f.response(&d)
	resp.Request = c.req
	if c.req.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp, nil
}

// answered is what the caller gets of a request that was sent.
func (c *call) answered(resp *http.Response, err error) (*http.Response, error) {
	kept := false
	defer func() {
		if !kept && resp != nil { // a fault took it away, or a panic
			httpx.Discard(resp)
		}
	}()
	s := after
	if resp != nil && !bodiless(c.req, resp) {
		s = onBody
	}
	if f, lost := c.strike(s); lost != nil {
		return c.instead(f, lost)
	}
	kept = true
	if resp != nil && c.shape != nil {
		c.reshape(resp)
	}
	return resp, err
}

// bodiless reports whether there is no body for faults to strike.
func bodiless(req *http.Request, resp *http.Response) bool {
	return resp.Body == http.NoBody || req.Method == http.MethodHead || req.Method == http.MethodConnect ||
		resp.StatusCode == http.StatusSwitchingProtocols
}

// diceOf are the dice that the error of a fault was made with: past the number that said that it strikes.
func (c *call) diceOf(f *Fault) dice {
	i := 0
	for f != &c.in.cfg.Faults[i] { // it is one of them
		i++
	}
	d := c.in.dice(c.identity, i)
	d.next()
	return d
}

// response is that of a fault of Kind Status.
func (f *Fault) response(d *dice) *http.Response {
	resp := &http.Response{
		Status:     strings.TrimSpace(strconv.Itoa(f.Status) + " " + http.StatusText(f.Status)),
		StatusCode: f.Status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header),
		Body:   http.NoBody,
	}
	f.putRetryAfter(resp.Header, d)
	if !allowsBody(f.Status) {
		return resp
	}
	resp.Header.Set("Content-Type", "text/plain; charset=utf-8")
	f.putBody(resp)
	return resp
}

// putBody makes Fault.Body the body.
func (f *Fault) putBody(resp *http.Response) {
	resp.Body = io.NopCloser(strings.NewReader(f.Body))
	resp.ContentLength = int64(len(f.Body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(f.Body)))
	resp.Header.Del("Content-Encoding")
	resp.Uncompressed, resp.TransferEncoding, resp.Trailer = false, nil, nil
}

// allowsBody reports whether a response of this status may have a body (RFC 9110, 6.4.1).
func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
