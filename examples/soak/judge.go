package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/chaos"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
)

// outcome is what a caller makes of what came of a call.
type outcome uint8

const (
	success outcome = iota
	failure
	ignored // the caller has gone
	refused // nothing was sent, or nothing that a server had a place for
	outcomes
)

// String names a call in a complaint.
func (c *call) String() string {
	return fmt.Sprintf("%s (%s %s of %d bytes, deadline %v, cancel %v)", c.id, c.door.name, c.method, c.body, c.deadline, c.cancel)
}

// judge puts the call into one of the outcomes, and complains of what cannot be.
func (c *call) judge(ctx context.Context, w *world, r *result) {
	c.outcome = outcomeOf(ctx, r)
	if !c.hedged() {
		c.allowed = w.fault.deaf()
	}
	switch {
	case r.panic != nil:
		c.judgePanic(w, r)
	case r.err == nil:
		w.compare(c, r.body)
	default:
		c.judgeError(ctx, w, r.err)
	}
	c.judgeSent(w, r.err)
}

// judgeSent: how many requests a call makes follows from what became of it.
func (c *call) judgeSent(w *world, err error) {
	switch sent, shed := int(c.sent.Load()), int(c.shed.Load()); {
	case c.cancel < 0 && sent > 0:
		w.complain("%s: its context was done, and it has sent %d requests", c, sent)
	case c.outcome == refused && sent > shed:
		w.complain("%s: it was refused, which says that nothing was done, and has sent %d requests, of which servers refused %d: %v", c, sent, shed, err)
	case c.outcome == success && sent == 0:
		w.complain("%s: it succeeded, and has sent nothing", c)
	case w.most > 0 && sent > w.most:
		w.complain("%s: it has sent %d requests, and the stack says that it makes %d at most", c, sent, w.most)
	}
}

func outcomeOf(ctx context.Context, r *result) outcome {
	switch {
	case r.panic != nil:
		return failure
	case r.err == nil:
		return success
	case isRefusal(r.err):
		return refused
	case errors.Is(ctx.Err(), context.Canceled):
		return ignored
	default:
		return failure
	}
}

// isRefusal asks the outermost error that knows.
func isRefusal(err error) bool {
	var r interface{ Refused() bool }
	return errors.As(err, &r) && r.Refused()
}

// hedged reports whether the hedge in the stack has a hand in the call. Then each attempt has a goroutine of its own, which the
// caller can leave.
func (c *call) hedged() bool { return c.door.name != "Transport" || repeatable(c.method, c.key) }

// hedgeable is hedged for a request.
func hedgeable(req *http.Request) bool {
	return repeatable(req.Method, req.Header.Get("Idempotency-Key") != "")
}

// repeatable is what hedge.Transport has to say to it: the rest goes through untouched.
func repeatable(method string, key bool) bool {
	return key || method == http.MethodGet || method == http.MethodHead
}

// compare complains of an answer that is not the one to the call.
func (w *world) compare(c *call, body []byte) {
	want := c.want()
	if !bytes.Equal(body, want) && !w.fault.spoils() {
		w.complain("%s: it succeeded with %d bytes that are not the %d of its answer: %.60q", c, len(body), len(want), body)
	}
}

// judgePanic: only what chaos has injected may panic.
func (c *call) judgePanic(w *world, r *result) {
	value := r.panic
	var of *hedge.PanicError
	if err, ok := value.(error); ok && errors.As(err, &of) {
		value, r.stack = of.Value, of.Stack
	}
	if value != injected || w.fault.at != client {
		w.complain("%s: a panic that nobody injected: %v\n%s", c, value, r.stack)
	}
}

// judgeError: an error says what happened.
func (c *call) judgeError(ctx context.Context, w *world, err error) {
	if c.cancel < 0 && !errors.Is(err, context.Cause(ctx)) {
		w.complain("%s: its context was done, and the error does not say why: %v", c, err)
	}
	vanished := w.fault.chaos.Kind == chaos.BlackHole && w.settings.rate == 1
	if vanished && !endOf(ctx, err) && !turnedAway(err) && !(w.fault.at != client && shed(err)) {
		w.complain("%s: there is nothing to come from a black hole but the end of a context: %v", c, err)
	}
	if w.fault.at == client && !known(ctx, err) {
		w.complain("%s: an error of a kind that nobody makes: %T: %v", c, err, err)
	}
}

// endOf reports whether the error is that of a context, the caller's or an attempt's.
func endOf(ctx context.Context, err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
}

// known reports whether the error is one of those that policies, the faults of a client, and healthy servers make.
func known(ctx context.Context, err error) bool {
	var status *statusError
	return endOf(ctx, err) || turnedAway(err) || errors.As(err, &status) || errors.Is(err, chaos.ErrInjected)
}

// shed reports whether a server has refused an attempt. Requests that vanish in it have its places until their clients go, and
// its breaker counts them as slow while they are there.
func shed(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusServiceUnavailable
}

// turnedAway reports whether an attempt was refused: the only one, or one after others.
func turnedAway(err error) bool {
	return errors.Is(err, breaker.ErrOpen) || errors.Is(err, bulkhead.ErrFull) || errors.Is(err, failover.ErrNoTarget)
}
