package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/stripe"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is the state of one call through a bulkhead. It lives on the caller's stack.
type call struct {
	b     *Bulkhead
	ctx   context.Context // the caller's, under the policy's span
	place place
	wait  wait
	open  bool            // it has its place
	tel   *telemetry.Call // nil: nobody looks
}

// begin asks for a place.
func (c *call) begin(ctx context.Context, b *Bulkhead, nilFunc bool) error {
	if nilFunc {
		return fmt.Errorf("%s: %w", b.label(), errNilFunc)
	}
	if ctx.Err() != nil {
		return b.overBefore(ctx)
	}
	c.b, c.ctx = b, ctx
	if c.wait.terms == nil {
		c.wait.terms = b.terms.Load()
	}
	if b.scope.Active(ctx) {
		c.ctx, c.tel = b.scope.StartPolicy(ctx, c.wait.terms.spans)
	}
	c.place.slot, c.place.word = b.slots.take()
	refusal := b.enter(c.ctx, &c.place, &c.wait, true)
	c.open = refusal == nil
	if c.tel != nil {
		c.observe(ctx, refusal)
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// observe tells of the wait, and of the refusal if it is one.
func (c *call) observe(caller context.Context, refusal *FullError) {
	if c.wait.queued && c.tel.Recording() {
		c.tel.SetAttributes(telemetry.Waited(c.wait.waited))
	}
	switch {
	case refusal == nil:
	case refusal.Cause == nil:
		if c.tel.Recording() {
			c.tel.SetAttributes(telemetry.RejectReason(refusal.Reason.String()))
		}
		c.tel.End(caller, telemetry.Refused, refusal, 0)
	case refusal.Timeout():
		c.tel.End(caller, telemetry.Timeout, refusal, 0)
	default:
		c.tel.End(caller, telemetry.Canceled, refusal, 0)
	}
}

// end gives the place back.
func (c *call) end(err error) {
	if err == nil && c.tel == nil && c.place.plain() {
		c.open = false
		c.place.slot.giveBack(c.place.word)
		return
	}
	o := c.judge(err) // the error's methods may panic: the place is still held
	c.settle(o, err)
}

// abort records that the function panicked or ended its goroutine.
func (c *call) abort() { c.settle(failed, telemetry.ErrAborted) }

func (c *call) settle(o outcome, err error) {
	spoken := o.spoken(err) // the error's methods may panic: the place is still held
	c.open = false
	defer c.tel.End(c.ctx, spoken, err, 0)
	c.place.vacate()
	c.b.learn(&c.place, c.wait.terms, 0, o, err)
}

func (c *call) judge(err error) outcome {
	if err == nil {
		return succeeded
	}
	if ended := c.ctx.Err(); ended != nil && errors.Is(ended, context.Canceled) {
		return ignored // whatever it returned: the caller wanted no result
	}
	return judge(err)
}

// outcome is what became of a call that had a place.
type outcome uint8

const (
	succeeded outcome = iota
	failed
	ignored    // it says nothing about the dependency
	unmeasured // a success that says nothing of how long one takes
)

// judge judges by the error alone: cancelled, and refused by somebody below, say nothing.
func judge(err error) outcome {
	switch {
	case err == nil:
		return succeeded
	case errors.Is(err, context.Canceled), failure.Refused(err):
		return ignored
	default:
		return failed
	}
}

// spoken is the outcome in the words of telemetry.
func (o outcome) spoken(err error) telemetry.Outcome {
	switch {
	case o == succeeded, o == unmeasured:
		return telemetry.Success
	case o == failed:
		return telemetry.Failure
	case errors.Is(err, context.Canceled):
		return telemetry.Canceled
	default:
		return telemetry.Ignored
	}
}

// plain reports whether there is nothing to be learned from a success, and no place but b's own.
func (p *place) plain() bool { return p.start == 0 && p.total == nil }

// vacate gives the places of a call back, unless that was done before.
func (p *place) vacate() bool {
	if !p.slot.giveBack(p.word) {
		return false
	}
	if p.total != nil {
		p.total.giveBack(p.total.word.Load())
	}
	return true
}

// learn takes note of a call that has left, by its terms. answered is when the dependency answered, if the place was held for longer; else
// 0. Adaptive.Overloaded may panic.
func (b *Bulkhead) learn(p *place, t *terms, answered time.Duration, o outcome, err error) {
	b.tally.ended(o)
	if b.total != nil {
		b.total.tally.ended(o)
	}
	if p.start == 0 {
		return
	}
	now := b.now()
	if t.finder == nil || sampledWait(p.word) { // a finder has all calls timed: cores would pass the estimate to and fro
		b.service.add(now - p.start)
		if b.total != nil {
			b.total.service.add(now - p.start)
		}
	}
	if t.finder != nil {
		if answered == 0 {
			answered = now
		}
		b.adapt(t, now, answered-p.start, o, err)
	}
}

// adapt tells the finder of a call.
func (b *Bulkhead) adapt(t *terms, now, latency time.Duration, o outcome, err error) {
	changed := false
	switch o {
	case succeeded:
		changed = t.finder.succeeded(now, latency)
	case failed:
		if t.overloaded(err) {
			changed = t.finder.overloaded(now)
		}
	}
	if changed {
		b.resize(t.finder, t.finder.limit)
	}
}

// tally counts what became of calls. Those that succeeded are all that had a place, less these.
type tally struct {
	failures    stripe.Counter
	ignoredRuns stripe.Counter // of those that had a place
	ignored     stripe.Counter // of those that had none: the caller's context ended before
	refused     [reasons]stripe.Counter
}

// ended counts a call that had a place.
func (t *tally) ended(o outcome) {
	switch o {
	case failed:
		t.failures.Add()
	case ignored:
		t.ignoredRuns.Add()
	}
}

// count counts a call that had no place. In a Keyed the total has all counts of its keys, so that they outlive them.
func (b *Bulkhead) count(e *FullError) {
	if b.total != nil {
		b.total.count(e)
	}
	if e.Cause == nil {
		b.tally.refused[e.Reason].Add()
	} else {
		b.tally.ignored.Add()
	}
}

// overBefore is for a call whose context, which is done, was so when it came.
func (b *Bulkhead) overBefore(ctx context.Context) error {
	b.tally.ignored.Add()
	if b.total != nil {
		b.total.tally.ignored.Add()
	}
	return cause.Of(b.label(), ctx)
}
