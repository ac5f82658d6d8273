package chaos

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// call is one call while chaos is on.
type call struct {
	in       *Injector
	run      *run
	ctx      context.Context
	req      *http.Request // nil outside of HTTP
	meant    bool
	identity uint64
	struck   string // the names of the faults, for the span
	shape    *shape // what the faults of the body come to; nil: none

	swallow func() bool // of a Handler: reads the request's body, and says whether there was one
}

func newCall(ctx context.Context, in *Injector, r *run, req *http.Request) *call {
	c := &call{in: in, run: r, ctx: ctx, req: req}
	c.identity = c.identify()
	c.meant = in.meant(ctx, req)
	return c
}

// identify takes the call's number in any case, so that keys of some do not change the numbers of others.
func (c *call) identify() uint64 {
	number := c.run.identity()
	if c.req != nil && c.in.cfg.RequestKey != nil {
		if key := c.in.cfg.RequestKey(c.req); key != "" {
			return mix(hash(key)) + uint64(httpx.Attempt(c.req.Header))
		}
	}
	if k, ok := c.ctx.Value(keyKey{}).(*keyed); ok {
		return mix(k.hash) + k.use(c.run)
	}
	return number
}

// stage is which of the faults are looked at.
type stage uint8

const (
	before     stage = iota // the call is made: all but those below
	after                   // it was made: those with After
	onBody                  // there is a body: those of the body, and those with After
	always                  // in a Handler, where there is only one time
	unembodied              // the same, where there is no body that faults could strike
)

func (s stage) has(f *Fault) bool {
	switch s {
	case before:
		return !f.After && !f.ofBody()
	case after:
		return f.After
	case onBody:
		return f.After || f.ofBody()
	case unembodied:
		return !f.ofBody()
	}
	return true
}

// strike goes through the faults of a stage. An error is that of the fault that ended the call.
func (c *call) strike(s stage) (*Fault, error) {
	if !c.meant {
		return nil, nil
	}
	for i := range c.in.cfg.Faults {
		f := &c.in.cfg.Faults[i]
		if !c.looksAt(s, f) || !f.forCall(c.ctx, c.req) {
			continue
		}
		d := c.in.dice(c.identity, i)
		if !c.run.strikes(f, &d) {
			continue
		}
		c.note(i, f)
		if err := c.suffer(f, &d); err != nil {
			return f, err
		}
	}
	return nil, nil
}

// looksAt is has, but that to a call without a body a Reset is one, after however many Bytes.
func (c *call) looksAt(s stage, f *Fault) bool {
	if c.req != nil {
		return s.has(f)
	}
	switch {
	case f.Kind == Reset && !f.After:
		return s == before
	case f.ofBody():
		return false
	}
	return s.has(f)
}

// note counts a fault, and shows it on the span that the call is under.
func (c *call) note(i int, f *Fault) {
	c.run.struck[i].Add(1)
	span := trace.SpanFromContext(c.ctx)
	if !span.IsRecording() {
		return
	}
	if c.struck != "" {
		c.struck += ","
	}
	c.struck += f.Name
	span.SetAttributes(telemetry.ChaosFault(c.struck))
}

// suffer does what the fault does. An error ends the call.
func (c *call) suffer(f *Fault, d *dice) error {
	switch f.Kind {
	case Latency:
		return c.wait(f.Delay.draw(d))
	case BlackHole:
		return c.vanish()
	case Deaf:
		pause(c.run, f.Delay.draw(d))
		return nil
	case Panic:
		if f.Panic != nil {
			panic(f.Panic)
		}
		panic(c.in.fail(f, nil))
	case Failure:
		return c.in.failure(f, d)
	case Status:
		return c.in.fail(f, httpx.NewStatusError(f.response(d), time.Now()))
	case Reset:
		if c.req == nil || f.Bytes == 0 {
			return c.in.fail(f, errReset)
		}
	}
	c.shape = c.shape.with(c.in, c.run, f, d)
	return nil
}

// fail is the error of a fault.
func (in *Injector) fail(f *Fault, err error) *Error {
	return &Error{Name: in.cfg.Name, Fault: f.Name, Kind: f.Kind, Err: err}
}

// failure is the error of a fault of Kind Failure.
func (in *Injector) failure(f *Fault, d *dice) error {
	if f.Err != nil {
		return f.Err
	}
	e := in.fail(f, nil)
	if f.RetryAfter != "" {
		h := make(http.Header)
		f.putRetryAfter(h, d)
		e.After, _ = httpx.RetryAfter(h, time.Now())
	}
	return e
}

// vanish holds the call until its context ends.
func (c *call) vanish() error {
	swallowed := c.swallow != nil && c.swallow()
	if err := c.wait(forever); err != nil || !swallowed {
		return err
	}
	return errSwallowed // it cannot go on without its body
}

// wait holds the call, at most until its context ends.
func (c *call) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	c.run.held.Add(1)
	defer c.run.held.Add(-1)
	var late <-chan time.Time
	if d < forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-late:
	case <-c.run.over.Done():
	case <-c.ctx.Done():
	case <-cancelOf(c.req):
		return errCanceled
	}
	if c.ctx.Err() != nil { // also if both came at the same moment
		return cause.Of(c.in.label(), c.ctx)
	}
	return nil
}

// pause holds who heeds nothing.
func pause(r *run, d time.Duration) {
	if d <= 0 {
		return
	}
	r.held.Add(1)
	defer r.held.Add(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.over.Done():
	}
}

// cancelOf is the old way to cancel a request, which http.Client still uses for its Timeout.
func cancelOf(r *http.Request) <-chan struct{} {
	if r == nil {
		return nil
	}
	//lint:ignore SA1019 it is heeded, not used
	return r.Cancel
}
