package breaker

import (
	"context"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// tally is what became of calls. Successes and failures of the generation of the moment are in its window; the rest
// is here.
type tally struct {
	successes, failures atomic.Uint64 // but those
	ignored             atomic.Uint64
	refused             [len(refusing)]stripe.Counter
	late                atomic.Uint64 // of all successes and failures: those that came after the state had moved on
	shadowed            atomic.Uint64 // of all calls: those that would have been refused
}

// refusing are the states that refuse calls: the reasons for a refusal.
var refusing = [...]State{Open, HalfOpen, ForcedOpen}

func (t *tally) refuse(s State) { t.refused[s-Open].Add() }

func (t *tally) allRefused() (n uint64) {
	for i := range t.refused {
		n += t.refused[i].Load()
	}
	return n
}

// succeeded takes a plain success in the closed state: nearly every result. It reports false if this is none, and has
// done nothing then.
func (b *Breaker) succeeded(t *ticket) bool {
	g := t.gen
	if g.state != Closed || t.running != nil || b.gen.Load() != g {
		return false
	}
	g.window.success(b.now(), false)
	b.mend(g)
	return true
}

// settle takes the result of a call. by is the span of the call, for an opening to be traced back to.
func (b *Breaker) settle(ctx context.Context, t *ticket, o Outcome, err error, by trace.SpanContext) {
	g := t.gen
	if t.running != nil {
		t.running.ended(t.slot)
	}
	switch {
	case t.probe != nil:
		b.settleProbe(t, o, err, by)
		b.events.deliver(ctx, b)
	case o == Ignored:
		b.tally.ignored.Add(1)
	case b.gen.Load() != g:
		b.tally.late.Add(1)
		b.count(o)
	case g.state != Closed: // disabled, or in shadow
		b.count(o)
	case o == Success && b.succeeded(t):
	default:
		tripped := b.judge(t, o, err, by)
		b.mend(g)
		if tripped {
			b.events.deliver(ctx, b)
		}
	}
}

// count counts a result that no window is to see.
func (b *Breaker) count(o Outcome) {
	if o == Success {
		b.tally.successes.Add(1)
	} else {
		b.tally.failures.Add(1)
	}
}

// mend sees to it that a result which was added to a window while the state moved on is not lost to the totals:
// either who moved it on took it over, or we do.
func (b *Breaker) mend(g *generation) {
	if b.gen.Load() == g {
		return
	}
	b.mu.Lock()
	b.retireLocked(g)
	b.mu.Unlock()
}

// judge counts a result in the closed state, and opens the breaker if that was one failure too many. A success does
// not open it, unless it was slow.
func (b *Breaker) judge(t *ticket, o Outcome, err error, by trace.SpanContext) (tripped bool) {
	g, now := t.gen, b.now()
	set := b.set.Load() // when to open is for the settings of now, what was slow for those of then
	slow := t.running != nil && now-t.start >= t.running.after
	if o == Success {
		g.window.success(now, slow)
		if !slow || !set.slow(g.window.counts(now), t.running.late(now)) {
			return false
		}
		b.trip(g, now, errSlow, by)
		return true
	}
	streak := g.window.failure(now, slow)
	seen := g.window.counts(now)
	switch {
	case set.consecutive > 0 && streak >= set.consecutive,
		seen.calls >= set.minCalls && float64(seen.failures) >= set.failureRatio*float64(seen.calls):
	case slow && set.slow(seen, t.running.late(now)):
		err = errSlow
	default:
		return false
	}
	b.trip(g, now, err, by)
	return true
}

// slow reports whether too many calls were slow. late are under way and overdue: not yet among seen.
func (s *settings) slow(seen counts, late uint64) bool {
	calls := seen.calls + late
	return calls >= s.minCalls && float64(seen.slow+late) >= s.slowRatio*float64(calls)
}

// settleProbe takes the result of a probe, and closes the breaker or opens it again if the machine says so.
func (b *Breaker) settleProbe(t *ticket, o Outcome, err error, by trace.SpanContext) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if o == Ignored {
		b.tally.ignored.Add(1)
	} else {
		b.count(o)
	}
	if b.gen.Load() != t.gen {
		if o != Ignored {
			b.tally.late.Add(1)
		}
		return
	}
	if o == Success && t.set.slowAfter > 0 && now-t.probe.start >= t.set.slowAfter {
		o, err = Failure, errSlow
	}
	open := t.gen.opening
	open.probes = slices.DeleteFunc(open.probes, func(p *probe) bool { return p == t.probe })
	switch open.machine.after(t.probe.done, o) {
	case Closed:
		b.closeLocked(now, seed{})
	case Open:
		b.reopenLocked(now, now, err, by)
	}
}
