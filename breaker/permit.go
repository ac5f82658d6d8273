package breaker

import (
	"context"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Permit is leave for one call, from [Breaker.Allow]. Give it back with Done. It may be copied.
type Permit struct {
	slip   *slip
	serial uint64
}

// slip is the permit itself. It is used again for the next one under another serial number, so that a permit costs no
// allocation, and yet a second Done, of a copy too, finds that it is spent. One that is never given back is garbage
// with its Permit.
type slip struct {
	serial atomic.Uint64
	b      *Breaker
	ticket ticket
}

var slips = sync.Pool{New: func() any { return new(slip) }}

// Allow asks leave for a call whose work is not a function: it returns a Permit, or an [*OpenError]. The result goes
// to [Permit.Done], once the work is done. Where the work is a function, use [Do]: it cannot forget.
func (b *Breaker) Allow() (Permit, error) {
	if b == nil {
		return Permit{}, nil
	}
	var t ticket
	if refusal := b.admit(context.Background(), &t); refusal != nil {
		return Permit{}, refusal
	}
	s := slips.Get().(*slip)
	s.b, s.ticket = b, t
	return Permit{s, s.serial.Load()}, nil
}

// Done gives the permit back with the result of the work. The first Done counts; a second does nothing, and so does
// that of the zero Permit. A permit that is never given back counts for nothing, but for a call that is still running
// where SlowAfter is set; if it was a probe's, the probe fails after ProbeTimeout.
func (p Permit) Done(err error) {
	if p.slip == nil || !p.slip.serial.CompareAndSwap(p.serial, p.serial+1) {
		return
	}
	b, t := p.slip.b, p.slip.ticket
	p.slip.b, p.slip.ticket = nil, ticket{}
	slips.Put(p.slip)
	judged := false
	defer func() {
		if !judged { // Classify panicked
			b.settle(context.Background(), &t, Failure, telemetry.ErrAborted, trace.SpanContext{})
		}
	}()
	outcome := Success
	if err != nil {
		outcome = t.judgement(err)
	}
	judged = true
	b.settle(context.Background(), &t, outcome, err, trace.SpanContext{})
}
