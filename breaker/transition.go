package breaker

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// trip opens the breaker, unless the state has moved on from g. The caller delivers the event.
func (b *Breaker) trip(g *generation, now time.Duration, why error, by trace.SpanContext) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gen.Load() != g {
		return
	}
	b.failedTries = 0
	b.openLocked(now, later(now, b.coolDownLocked()), why, by)
}

// reopenLocked opens the breaker after a recovery that failed at the given time. If the longer cool-down from then
// is over already, because nobody called meanwhile, the next call may be a probe.
func (b *Breaker) reopenLocked(now, failed time.Duration, why error, by trace.SpanContext) {
	if b.failedTries < math.MaxUint32 {
		b.failedTries++
	}
	b.openLocked(now, max(later(failed, b.coolDownLocked()), now), why, by)
}

// coolDownLocked is how long the next opening lasts. The first is exactly OpenFor: breakers trip when their own
// traffic fails, at different times. From the second on those of many clients could fall into step with each
// failed recovery, so up to a fifth is taken off, at random.
func (b *Breaker) coolDownLocked() time.Duration {
	d := b.set.Load().openFor
	for range min(b.failedTries, 63) {
		if d > b.set.Load().maxOpenFor/2 {
			d = b.set.Load().maxOpenFor
			break
		}
		d *= 2
	}
	if b.failedTries == 0 {
		return d
	}
	return d - rand.N(d/5+1)
}

func (b *Breaker) openLocked(now, until time.Duration, why error, by trace.SpanContext) {
	until = max(until, later(now, shortestOpening))
	g := b.set.Load().newGeneration(Open, now, seed{})
	g.opening = &opening{
		until:   until,
		machine: newMachine(until-now, b.set.Load().probes),
		refusal: b.refusal(Open, until, why, by),
	}
	g.opening.arm(until - now)
	b.enterLocked(g, why)
}

// halfOpenLocked follows the machine of an opening into half-open.
func (b *Breaker) halfOpenLocked(from *generation, now time.Duration) *generation {
	g := b.set.Load().newGeneration(HalfOpen, now, seed{})
	was := from.opening
	g.opening = &opening{machine: was.machine, refusal: b.refusal(HalfOpen, 0, was.refusal.Cause, was.refusal.opener)}
	b.enterLocked(g, nil)
	return g
}

func (b *Breaker) closeLocked(now time.Duration, seen seed) {
	b.failedTries = 0
	b.enterLocked(b.set.Load().newGeneration(Closed, now, seen), nil)
}

// enterLocked makes next the breaker's generation. The caller delivers the event once the lock is gone.
func (b *Breaker) enterLocked(next *generation, why error) {
	was := b.gen.Load()
	next.number, next.shadow = was.number+1, b.shadow
	b.gen.Store(next)
	b.retireLocked(was)
	was.opening.disarm()
	if was.state == next.state {
		return
	}
	b.transitions[next.state]++
	e := Event{Name: b.name, From: was.state, To: next.state, At: b.wall(next.since), Cause: why, Shadow: b.shadow}
	if next.state == Open {
		e.Until = b.wall(next.opening.until)
	}
	b.events.Put(e)
}

// retireLocked takes over what a generation that is no longer the breaker's has counted. Who adds to it later, having
// looked just before, calls this again (see mend). Who still looks back at it sees nonsense, and can do nothing with
// it, for trip asks whether the generation is still the breaker's.
func (b *Breaker) retireLocked(g *generation) {
	successes, failures := g.window.take()
	b.tally.successes.Add(successes)
	b.tally.failures.Add(failures)
}

// Force sets the state by hand. ForcedOpen refuses all calls, Disabled lets all pass and judges none, both until
// Reset. Shadow closes the breaker and lets it go through its states while it refuses nothing, so that a setting can
// be tried on live traffic: Snapshot tells what it would have refused, and an Event that it is in shadow. Open opens it
// for OpenFor; HalfOpen opens it for an instant, so that the next call is a probe as soon as the clock has moved; and
// Closed is Reset. It panics if s is not a State.
func (b *Breaker) Force(s State) {
	if b == nil {
		return
	}
	if s >= stateCount {
		panic("breaker.Force: " + s.String() + ": want one of the States")
	}
	b.mu.Lock()
	now := b.now()
	b.shadow = s == Shadow
	switch s {
	case Closed, Shadow:
		b.closeLocked(now, seed{})
	case Open:
		b.failedTries = 0
		b.openLocked(now, later(now, b.coolDownLocked()), nil, trace.SpanContext{})
	case HalfOpen:
		b.openLocked(now, now, nil, trace.SpanContext{})
	case ForcedOpen:
		g := b.set.Load().newGeneration(ForcedOpen, now, seed{})
		g.opening = &opening{refusal: b.refusal(ForcedOpen, 0, nil, trace.SpanContext{})}
		b.enterLocked(g, nil)
	case Disabled:
		b.enterLocked(b.set.Load().newGeneration(Disabled, now, seed{}), nil)
	}
	b.mu.Unlock()
	b.events.deliver(context.Background(), b)
}

// Reset closes the breaker, forgets what it has seen, and ends what Force began.
func (b *Breaker) Reset() { b.Force(Closed) }

// OpenUntil opens the breaker until t, when the dependency has said that it will be back: calls are refused till then,
// and then probed as ever. It never shortens an opening, does nothing if t is past, and leaves ForcedOpen and Disabled
// alone. MaxOpenFor does not cap it.
func (b *Breaker) OpenUntil(t time.Time) {
	if b != nil {
		b.openUntil(t, 0, nil, trace.SpanContext{})
		b.events.deliver(context.Background(), b)
	}
}

// openUntil is OpenUntil, for a reason. An opening is made longer only by more than slack, for each is made anew.
func (b *Breaker) openUntil(t time.Time, slack time.Duration, why error, by trace.SpanContext) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	until := later(now, time.Until(t))
	g := b.gen.Load()
	switch {
	case until <= now, g.state == ForcedOpen, g.state == Disabled, g.state == Open && until <= later(g.opening.until, slack):
		return
	case g.state == Closed:
		b.failedTries = 0
	case why == nil: // it goes on for the reason for which it began
		why, by = g.opening.refusal.Cause, g.opening.refusal.opener
	}
	b.openLocked(now, until, why, by)
}

// later is t+d, or the end of time: durations from outside may be anything.
func later(t, d time.Duration) time.Duration {
	if d > math.MaxInt64-t {
		return math.MaxInt64
	}
	return t + d
}
