package main

import (
	"context"
	"net/http"
	"sync/atomic"
)

// tap counts the calls that go into a policy, and what comes out of it. In a stack it stands right above the policy, of which
// it knows nothing: what it counts, the policy's own books must have too.
type tap struct {
	faithful bool                     // of its Transport: see there
	counts   func(*http.Request) bool // nil: all. What the policy lets through untouched is none of its calls

	running atomic.Int64
	ended   [returns]atomic.Uint64
}

// returned is how a call ended, as its caller sees it.
type returned uint8

const (
	well     returned = iota // no error. Of a Transport: a response, whatever its status
	badly                    // an error
	panicked                 // or the goroutine ended
	returns
)

func (t *tap) enter() (leave func(*returned)) {
	t.running.Add(1)
	return func(how *returned) {
		t.ended[*how].Add(1)
		t.running.Add(-1)
	}
}

// calls is how many have ended.
func (t *tap) calls() (n uint64) {
	for i := range t.ended {
		n += t.ended[i].Load()
	}
	return n
}

// Run implements holdfast.Runner.
func (t *tap) Run(ctx context.Context, fn func(context.Context) error) error {
	how := panicked
	defer t.enter()(&how)
	err := fn(ctx)
	how = well
	if err != nil {
		how = badly
	}
	return err
}

// Transport implements holdfast.Transporter.
func (t *tap) Transport(next http.RoundTripper) http.RoundTripper { return &tapped{t, next} }

type tapped struct {
	*tap
	next http.RoundTripper
}

func (t *tapped) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.counts != nil && !t.counts(req) {
		return t.next.RoundTrip(req)
	}
	how := panicked
	defer t.enter()(&how)
	resp, err := t.next.RoundTrip(req)
	how = well
	if err != nil {
		how = badly
	}
	return resp, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *tapped) CloseIdleConnections() { closeIdle(t.next) }

// Faithful tells holdfast that requests go through as they are. Of a transport that it does not know it expects what
// middlewares do to requests; half of the combinations have it so.
func (t *tapped) Faithful() bool { return t.faithful }

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
