package breaker

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// admit fills in t, or refuses the call.
func (b *Breaker) admit(ctx context.Context, t *ticket) *OpenError {
	g := b.gen.Load()
	t.gen, t.set = g, b.set.Load()
	if g.state == Closed && g.running.Load() == nil || g.state == Disabled {
		return nil
	}
	return b.admitSlowly(ctx, t)
}

// admitSlowly is admission in all other cases. A refusal after the trip takes no lock either.
func (b *Breaker) admitSlowly(ctx context.Context, t *ticket) *OpenError {
	for {
		g := b.gen.Load()
		t.gen = g
		if g.state == ForcedOpen || g.state == Open && !g.opening.near.Load() {
			return b.refuse(t)
		}
		now := b.now()
		t.start = now
		switch {
		case g.state == Closed:
			r := g.running.Load()
			if r == nil {
				return nil
			}
			if !b.tooSlow(ctx, t, r, now) {
				t.running, t.slot = r, r.started(now)
				return nil
			}
		case g.state == Disabled:
			return nil
		case g.state == Open && now < g.opening.until:
			return b.refuse(t)
		default:
			changed, refused := b.tryProbe(t, g, now)
			b.deliverFor(ctx, t)
			if refused {
				return b.refuse(t)
			}
			if !changed {
				return nil
			}
		}
	}
}

// deliverFor delivers events before the call that caused them has begun. Should a callback panic, the call will not be
// made: its probe's place goes back, and it counts as ignored.
func (b *Breaker) deliverFor(ctx context.Context, t *ticket) {
	delivered := false
	defer func() {
		switch {
		case delivered:
		case t.probe != nil:
			b.settleProbe(t, Ignored, nil, trace.SpanContext{})
		default:
			b.tally.ignored.Add(1)
		}
	}()
	b.events.deliver(ctx, b)
	delivered = true
	if t.probe != nil { // its time begins now: a slow callback is not a slow probe
		b.mu.Lock()
		t.probe.start = b.now()
		b.mu.Unlock()
	}
}

// tooSlow opens the breaker if enough calls are slow, those under way included.
func (b *Breaker) tooSlow(ctx context.Context, t *ticket, r *running, now time.Duration) bool {
	g := t.gen
	if !r.due(now) || !b.set.Load().slow(g.window.counts(now), r.late(now)) {
		return false
	}
	b.trip(g, now, errSlow, trace.SpanContextFromContext(ctx))
	b.deliverFor(ctx, t)
	return true
}

// refuse turns a call away; in shadow it only counts that.
func (b *Breaker) refuse(t *ticket) *OpenError {
	if t.gen.shadow {
		b.tally.shadowed.Add(1)
		return nil
	}
	b.tally.refuse(t.gen.state)
	return t.gen.opening.refusal
}

// tryProbe asks the machine for a probe's place, when the cool-down is over. changed means that the state is not
// what it was: look again.
func (b *Breaker) tryProbe(t *ticket, g *generation, now time.Duration) (changed, refused bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gen.Load() != g {
		return true, false
	}
	if at, hung := g.hung(now, b.set.Load().probeTimeout); hung {
		b.reopenLocked(now, at, errProbeTimeout, trace.SpanContext{})
		return true, false
	}
	done, ok := g.opening.machine.admit()
	if !ok {
		return false, true
	}
	if g.state == Open {
		g = b.halfOpenLocked(g, now)
	}
	p := &probe{done: done, start: now}
	g.opening.probes = append(g.opening.probes, p)
	t.gen, t.probe = g, p
	return false, false
}
