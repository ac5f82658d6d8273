package bulkhead

import (
	"context"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
)

// place is what a call holds while it runs.
type place struct {
	slot  *slot
	word  uint64        // the slot's
	start time.Duration // since when it has it; 0: not timed
	total *slot         // in the total of a Keyed
}

// wait is what a call goes through to have its place.
type wait struct {
	terms  *terms // what it goes by
	queued bool
	waited time.Duration // in all
	until  time.Duration // the last wait's end
	paid   *meter        // whose token it has; nil: none
}

// enter goes on from the slot that take found, or found not: it takes a place, and in a Keyed one of the total's too, and
// waits for them if it may.
func (b *Bulkhead) enter(ctx context.Context, p *place, w *wait, mayWait bool) *FullError {
	if p.slot != nil && w.terms.plain {
		if sampled(p.word) {
			p.start = b.now()
		}
		return nil
	}
	entered := false
	defer func() {
		if !entered { // the context's methods panicked
			p.retreat(w.paid)
		}
	}()
	refusal := b.enterOwn(ctx, p, w, mayWait)
	if refusal == nil && b.total != nil {
		refusal = b.enterTotal(ctx, p, w, mayWait)
	}
	if w.queued {
		b.scope.RecordWait(ctx, w.waited)
	}
	if refusal != nil {
		b.count(refusal)
	}
	entered = true
	return refusal
}

// retreat gives back what a call has that will not be made: its places, and the token that it has paid with.
func (p *place) retreat(paid *meter) {
	if p.total != nil {
		p.total.giveBackUnused(p.total.word.Load())
	}
	if p.slot != nil {
		paid.giveBack()
		p.slot.giveBackUnused(p.word)
	}
	*p = place{}
}

// enterTotal is for a call that has a place of its key's.
func (b *Bulkhead) enterTotal(ctx context.Context, p *place, w *wait, mayWait bool) *FullError {
	var inTotal place
	own, entered := w.terms, false
	defer func() {
		w.terms = own
		if !entered { // as in enter
			inTotal.retreat(nil)
		}
	}()
	w.terms = b.total.terms.Load()
	inTotal.slot, inTotal.word = b.total.slots.take()
	refusal := b.total.enterOwn(ctx, &inTotal, w, mayWait)
	entered = true
	if refusal == nil {
		p.total, p.start = inTotal.slot, max(p.start, inTotal.start)
		if p.start != 0 {
			p.start = max(p.start, w.until)
		}
		return nil
	}
	p.retreat(w.paid)
	reason := refusal.Reason
	if reason == ReasonFull || reason == ReasonQueue {
		reason = ReasonTotal
		if !w.queued {
			return b.refusal(reason)
		}
	}
	return &FullError{Name: b.name, Reason: reason, Waited: w.waited, Cause: refusal.Cause, b: b.total}
}

// enterOwn goes on from what take came to.
func (b *Bulkhead) enterOwn(ctx context.Context, p *place, w *wait, mayWait bool) *FullError {
	t := w.terms
	if p.slot != nil {
		if t.meter != nil {
			if !t.meter.allow() {
				p.slot.giveBackUnused(p.word)
				p.slot = nil
				if !mayWait || t.queue == 0 {
					return b.refusal(ReasonRate)
				}
				return b.enterSlowly(ctx, p, w, mayWait)
			}
			w.paid = t.meter
		}
		if t.finder != nil || sampled(p.word) {
			p.start = b.now()
		}
		return nil
	}
	switch mode := b.slots.mode.Load(); {
	case mode == full && (t.queue == 0 || !mayWait), mode == waiting && !mayWait && t.meter == nil:
		t.press()
		return b.refusal(ReasonFull)
	}
	return b.enterSlowly(ctx, p, w, mayWait)
}

// enterSlowly is for calls that found no place at once. Whether there is really none is known only under the mutex. There the
// terms do not change: a call that came with others goes by these from here on, lest it wait in a queue that is not of its terms.
func (b *Bulkhead) enterSlowly(ctx context.Context, p *place, waits *wait, mayWait bool) *FullError {
	// The user's code, which a context may be, comes first: no lock is held, and nothing to be given back.
	class := PriorityFrom(ctx).class()
	done := ctx.Done()
	left := time.Duration(math.MaxInt64)
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}

	now := b.now() // before the lock: it takes longer than what is done under it

	b.mu.Lock()
	t := b.terms.Load()
	waits.terms = t
	b.closeLocked()
	reason, ok := b.scarceLocked(t.meter)
	if ok {
		if t.meter != nil {
			waits.paid = t.meter
		}
		p.slot, p.start, b.unsure = b.grantLocked(), now, false
		b.settleLocked()
		b.mu.Unlock()
		p.word = p.slot.word.Load()
		return nil
	}
	if reason == ReasonFull {
		t.press()
	}
	var w *waiter
	if mayWait && b.queue.max > 0 {
		w = &waiter{class: class, since: now, deadline: later(now, left)}
		reason, ok = b.joinLocked(w, reason)
	}
	b.settleLocked()
	b.mu.Unlock()
	if !ok {
		return b.refusal(reason)
	}
	return b.await(ctx, done, w, p, waits)
}

// scarceLocked says what there is none of, or that there is all that a call needs. Then it has paid for its token.
func (b *Bulkhead) scarceLocked(meter *meter) (Reason, bool) {
	switch {
	case b.freeLocked() <= 0:
		return ReasonFull, false
	case b.queue.len > 0, meter != nil && !meter.allow(): // those in the queue do not wait for a place, then
		return ReasonRate, false
	}
	return 0, true
}

// joinLocked puts w into the queue, unless waiting would be in vain.
func (b *Bulkhead) joinLocked(w *waiter, scarce Reason) (Reason, bool) {
	if b.queue.len == 0 {
		b.forRate = false
	}
	newestFirst := b.standing(w.since)
	if reason, hopeless := b.hopeless(w, newestFirst); hopeless {
		b.unsure = b.unsure || reason == ReasonDeadline
		return reason, false
	}
	since := b.queue.since
	switch last := b.queue.back(newestFirst); {
	case b.queue.len < b.queue.max:
		since = w.since
	case last.class < w.class:
		b.answerLocked(last, w.since, ReasonPriority)
	case last.class == w.class && newestFirst:
		b.answerLocked(last, w.since, ReasonOverload)
	case scarce == ReasonRate:
		return ReasonRate, false // it is full of those who wait for that
	default:
		return ReasonQueue, false
	}
	w.answered = make(chan struct{}, 1)
	if b.queue.add(w); b.queue.len == 1 {
		b.queue.since = since // who takes another's place does not make the queue a new one
	}
	if scarce == ReasonRate {
		b.serveLocked(w.since) // sees to it that somebody looks when there is a token
	}
	return 0, true
}

// await waits for the answer. The caller's context and MaxWait end it.
func (b *Bulkhead) await(ctx context.Context, done <-chan struct{}, w *waiter, p *place, waits *wait) *FullError {
	maxWait := waits.terms.maxWait
	if done == nil && maxWait == 0 {
		<-w.answered // half the price of a select
	} else {
		b.awaitOneOf(done, w, maxWait, maxWait-waits.waited)
	}
	waits.queued, waits.waited, waits.until = true, waits.waited+w.at-w.since, w.at
	if w.answer == granted {
		if p.slot, p.word = w.slot, w.slot.word.Load(); waits.terms.finder != nil || sampledWait(p.word) {
			p.start = w.at
		}
		if w.paid != nil {
			waits.paid = w.paid
		}
	}
	switch ended := ctx.Err() != nil; {
	case ended:
		if w.answer == granted { // it came too late
			p.retreat(w.paid)
		}
		return &FullError{Name: b.name, Reason: ReasonEnded, Waited: waits.waited, Cause: cause.Of("", ctx), b: b}
	case w.answer != granted:
		return &FullError{Name: b.name, Reason: w.answer, Waited: waits.waited, b: b}
	}
	return nil
}

// awaitOneOf returns when w is answered, of itself or because done or MaxWait came first.
func (b *Bulkhead) awaitOneOf(done <-chan struct{}, w *waiter, maxWait, left time.Duration) {
	var late <-chan time.Time
	if maxWait > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.answered:
	case <-late:
		b.leave(w, ReasonMaxWait)
	case <-done:
		b.leave(w, ReasonEnded)
	}
}

// leave takes w out of the queue, unless it has been answered already.
func (b *Bulkhead) leave(w *waiter, r Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.queued {
		b.answerLocked(w, b.now(), r)
		b.settleLocked()
	}
}

// answerLocked answers a waiter and takes it out of the queue.
func (b *Bulkhead) answerLocked(w *waiter, now time.Duration, answer Reason) {
	b.queue.remove(w)
	if b.queue.len == 0 {
		b.sleepOnLocked()
	}
	w.at, w.answer = max(now, w.since), answer // both clocks are read outside of the lock: the later may come first
	if b.waits == nil {
		b.waits = new(waits)
	}
	b.waits.add(w.at, w.at-w.since)
	w.answered <- struct{}{}
}
