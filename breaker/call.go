package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is the state of one call through a breaker. It lives on the caller's stack.
type call struct {
	b      *Breaker
	ctx    context.Context // the caller's, under the policy's span
	ticket ticket
	open   bool // admitted, and its result not yet taken
	// neutral is set if the error is the caller's own doing: the reading of a request's body.
	neutral bool
	tel     *telemetry.Call // nil: nobody looks
}

// begin asks for admission.
func (c *call) begin(ctx context.Context, b *Breaker, nilFunc bool) error {
	if nilFunc {
		return fmt.Errorf("%s: %w", b.label(), errNilFunc)
	}
	if ctx.Err() != nil {
		b.tally.ignored.Add(1)
		return cause.Of(b.label(), ctx)
	}
	c.b, c.ctx = b, ctx
	refusal := b.admit(ctx, &c.ticket)
	c.open = refusal == nil
	if b.set.Load().scope.Active(ctx) {
		c.observe(refusal)
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// observe starts the span. That of a refused call ends at once, and links to the call that opened the breaker.
func (c *call) observe(refusal *OpenError) {
	var opts []trace.SpanStartOption
	state := c.ticket.gen.state
	if refusal != nil {
		state = refusal.State
		if refusal.opener.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: refusal.opener}))
		}
	}
	if c.ticket.gen.shadow {
		state = Shadow
	}
	caller := c.ctx
	c.ctx, c.tel = c.b.set.Load().scope.StartPolicy(caller, c.ticket.set.spans, opts...)
	if c.tel.Recording() {
		c.tel.SetAttributes(telemetry.BreakerState(state.String()))
	}
	if refusal != nil {
		if c.tel.Recording() {
			c.tel.SetAttributes(telemetry.RejectReason(refusal.State.String()))
		}
		c.tel.End(caller, telemetry.Refused, refusal, 0)
	}
}

// end judges the result. Classify may panic: the call is still open then. So may OnStateChange: then it is not.
func (c *call) end(err error) {
	if err == nil && c.tel == nil && c.b.succeeded(&c.ticket) {
		c.open = false
		return
	}
	outcome := c.classify(err)
	c.settle(outcome, err)
}

// abort records that the function, or Classify, panicked or ended its goroutine.
func (c *call) abort() { c.settle(Failure, telemetry.ErrAborted) }

func (c *call) settle(o Outcome, err error) {
	c.open = false
	defer c.tel.End(c.ctx, spoken(o, err), err, 0)
	c.b.settle(c.ctx, &c.ticket, o, err, c.tel.SpanContext())
}

// spoken is the outcome in the words of telemetry.
func spoken(o Outcome, err error) telemetry.Outcome {
	switch {
	case o == Success:
		return telemetry.Success
	case o == Failure:
		return telemetry.Failure
	case errors.Is(err, context.Canceled):
		return telemetry.Canceled
	default:
		return telemetry.Ignored
	}
}

func (c *call) classify(err error) Outcome {
	if err == nil {
		return Success
	}
	if ended := c.ctx.Err(); ended != nil && errors.Is(ended, context.Canceled) {
		return Ignored // whatever it returned: the caller wanted no result
	}
	if c.neutral {
		return Ignored
	}
	return c.ticket.judgement(err)
}

// judgement asks Classify. What is not an Outcome counts as a failure: it must not close anything.
func (t *ticket) judgement(err error) Outcome {
	if o := t.set.classify(err); o <= Ignored {
		return o
	}
	return Failure
}

// ticket is what a call holds while it runs.
type ticket struct {
	gen     *generation
	set     *settings // as they were when it began
	probe   *probe
	start   time.Duration // only if slow calls count
	running *running      // likewise: where it is counted
	slot    uint32        // of that
}
