package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// call is one call, and what came of it.
type call struct {
	planned

	sent atomic.Int64 // requests that have reached the wire
	shed atomic.Int64 // of these, those for which a server had no place, as it says

	returned atomic.Bool // until then nobody may read what follows
	outcome  outcome
	late     time.Duration // after the context had ended; below zero: in time
	allowed  time.Duration // how late it may be because nobody can leave it
}

// planned is what a call is to be.
type planned struct {
	id     string
	door   *door
	method string
	body   int  // bytes to send
	key    bool // it may be repeated, says a header
	size   int  // bytes of the answer

	from     time.Duration // after the burst has begun
	deadline time.Duration // after that
	cancel   time.Duration // likewise; 0: the caller waits to the end. Below: it has gone before
}

// Why contexts end.
var (
	errTime = errors.New("soak: time is up")
	errGone = errors.New("soak: the caller has gone")
)

const callsOfBurst = 6

// patience is the deadline of callers that go before it: so much that policies begin waits that are far longer than a call may
// be late.
const patience = 10 * time.Second

// drawCalls draws what is called in one combination.
func drawCalls(r *rand.Rand, of []door) (cs []*call) {
	for i := range callsOfBurst {
		c := planned{
			id: fmt.Sprintf("call-%d", i), door: &of[r.IntN(len(of))], method: http.MethodGet, size: oneOf(r, 100, 100, 6000),
			from: time.Duration(r.Int64N(int64(60 * ms))), deadline: oneOf(r, 20*ms, 100*ms, 250*ms),
		}
		switch r.IntN(6) {
		case 0:
			c.method, c.body = http.MethodPost, oneOf(r, 10, 5000)
		case 1:
			c.method, c.body, c.key = http.MethodPost, oneOf(r, 10, 5000), true
		case 2:
			c.method, c.body = http.MethodPut, oneOf(r, 10, 5000)
		case 3:
			c.method = oneOf(r, http.MethodHead, http.MethodDelete)
		}
		switch r.IntN(6) {
		case 0:
			c.cancel, c.deadline = ms+time.Duration(r.Int64N(int64(150*ms))), patience
		case 1:
			c.cancel = oneOf[time.Duration](r, 0, 0, -1)
		}
		cs = append(cs, &call{planned: c})
	}
	return cs
}

type callKey struct{}

// counted counts what a call sends.
type counted struct{ http.RoundTripper }

func (t *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return t.RoundTripper.RoundTrip(req)
	}
	c.sent.Add(1)
	if req.GetBody != nil {
		// HTTP/2 of net/http repeats what a connection has lost, and forgets a body that it made for that if it then gives up:
		// bodies that it makes are not entered.
		own := *req
		own.GetBody = func() (io.ReadCloser, error) { return c.content(), nil }
		req = &own
	}
	resp, err := t.RoundTripper.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Holdfast-Refused") == "yes" {
		c.shed.Add(1)
	}
	return resp, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *counted) CloseIdleConnections() { closeIdle(t.RoundTripper) }

// Faithful is that of a tapped transport.
func (t *counted) Faithful() bool { return true }

// make makes the call, and judges what comes of it.
func (c *call) make(w *world) {
	ctx := chaos.WithKey(context.WithValue(context.Background(), callKey{}, c), c.id)
	began := time.Now()
	due := began.Add(c.deadline)
	ctx, stop := context.WithDeadlineCause(ctx, due, errTime)
	defer stop()
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	switch {
	case c.cancel < 0:
		gone(errGone)
		due = began
	case c.cancel > 0:
		defer time.AfterFunc(c.cancel, func() { gone(errGone) }).Stop()
		due = began.Add(c.cancel)
	}
	result := c.through(ctx, w)
	c.late = time.Since(due)
	c.judge(ctx, w, &result)
	c.returned.Store(true)
}

// result is what came of a call.
type result struct {
	body  []byte // of a success
	err   error
	panic any
	stack []byte
}

// through is the call itself.
func (c *call) through(ctx context.Context, w *world) (r result) {
	defer func() {
		if r.panic = recover(); r.panic != nil {
			r.stack = debug.Stack()
		}
	}()
	r.body, r.err = c.door.call(ctx, w, c)
	return r
}
