package bulkhead

import (
	"context"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Permit is a place for one call, from [Bulkhead.Acquire] or [Bulkhead.TryAcquire]. Give it back with Done. It may be
// copied.
type Permit struct{ place place }

// Acquire takes a place, waiting for one as [Do] does; ctx bounds the wait, not what is done with the place. It returns
// a Permit or a [*FullError]; or, if ctx was done before, an error that wraps its cause. The result goes to
// [Permit.Done], once the work is done. Where the work is a function, use [Do]: it cannot forget.
func (b *Bulkhead) Acquire(ctx context.Context) (Permit, error) {
	if b == nil {
		return Permit{}, nil
	}
	if ctx.Err() != nil {
		return Permit{}, b.overBefore(ctx)
	}
	t := b.terms.Load()
	slot, word := b.slots.take()
	if slot != nil && t.plain && !sampled(word) {
		return Permit{place{slot: slot, word: word}}, nil
	}
	return b.acquire(ctx, t, slot, word, true)
}

// TryAcquire is Acquire for who will not wait: not for a place, nor for the rate.
func (b *Bulkhead) TryAcquire() (Permit, error) {
	if b == nil {
		return Permit{}, nil
	}
	t := b.terms.Load()
	slot, word := b.slots.take()
	if slot != nil && t.plain && !sampled(word) {
		return Permit{place{slot: slot, word: word}}, nil
	}
	if slot == nil && t.plain && b.slots.mode.Load() == full { // as acquire would find, by a longer way
		b.tally.refused[ReasonFull].Add()
		return Permit{}, b.refusal(ReasonFull)
	}
	return b.acquire(context.Background(), t, slot, word, false)
}

// acquire goes on from what take came to.
func (b *Bulkhead) acquire(ctx context.Context, t *terms, slot *slot, word uint64, mayWait bool) (Permit, error) {
	p := place{slot: slot, word: word}
	w := wait{terms: t}
	if refusal := b.enter(ctx, &p, &w, mayWait); refusal != nil {
		return Permit{}, refusal
	}
	return Permit{p}, nil
}

// Done gives the place back with the result of the work. The first Done counts; a second does nothing, also that of a
// copy, and so does that of the zero Permit. A Permit that is dropped without Done keeps its place for ever.
func (p Permit) Done(err error) {
	if p.place.slot == nil || !p.place.vacate() || err == nil && p.place.plain() {
		return
	}
	p.learn(err)
}

func (p Permit) learn(err error) {
	b := p.place.slot.b
	t := b.terms.Load() // a Permit that had its own would no more be held in registers
	judged := false
	defer func() {
		if !judged { // the error's methods panicked
			b.learn(&p.place, t, 0, failed, telemetry.ErrAborted)
		}
	}()
	o := judge(err)
	judged = true
	b.learn(&p.place, t, 0, o, err)
}
