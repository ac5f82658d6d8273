package bulkhead

import (
	"math"
	"time"
)

// standing reports whether the queue does not keep up: it has not been empty for an Interval, and somebody has waited for
// more than Target. In the order of their coming each would then wait until its caller has given up.
//
// That somebody waits long is our addition to Maurer's rule. At nine tenths of the capacity a queue often is not empty for
// long, and yet moves quickly: newest first then costs the older ones more than it gains.
func (b *Bulkhead) standing(now time.Duration) bool {
	switch {
	case b.queue.len == 0 || b.terms.Load().inOrder:
		return false
	case b.forRate:
		return false // they wait for the rate, which is as it should be: each knows how long it will take
	}
	return now-b.queue.since > b.interval() && now-b.queue.oldest() > b.target()
}

func (b *Bulkhead) interval() time.Duration {
	if set := b.terms.Load().interval; set > 0 {
		return set
	}
	return max(leastInterval, intervalCalls*b.service.average())
}

func (b *Bulkhead) target() time.Duration {
	if set := b.terms.Load().target; set > 0 {
		return set
	}
	return max(leastTarget, targetCalls*b.service.average())
}

// shedLocked refuses those who have waited for more than Target in a standing queue: newer ones go before them, so they
// would wait until their callers have given up.
func (b *Bulkhead) shedLocked(now time.Duration) {
	target := b.target()
	for class := range priorities {
		for w := b.queue.lists[class].first; w != nil && now-w.since > target; w = b.queue.lists[class].first {
			b.answerLocked(w, now, ReasonOverload)
		}
		if b.queue.lists[class].len > 0 {
			return // what matters less goes first
		}
	}
}

// hopeless reports whether w would wait in vain: it would not be done before its deadline, or not have a token within
// MaxWait.
func (b *Bulkhead) hopeless(w *waiter, newestFirst bool) (Reason, bool) {
	t := b.terms.Load()
	if w.deadline == math.MaxInt64 && t.meter == nil {
		return 0, false
	}
	ahead := b.queue.ahead(w.class, newestFirst)
	wait, token := b.drained(ahead), time.Duration(0)
	if t.meter != nil {
		token = t.meter.after(ahead)
	}
	switch {
	case b.tooLate(w, later(w.since, max(wait, token))):
		return ReasonDeadline, true
	case t.maxWait > 0 && token > t.maxWait:
		return ReasonRate, true
	}
	return 0, false
}

// tooLate reports whether w would not be done before its deadline if it had a place at that time.
func (b *Bulkhead) tooLate(w *waiter, at time.Duration) bool {
	return later(at, b.service.typical()) > w.deadline
}

// drained is how long it takes until n calls have had a place, as far as is known.
func (b *Bulkhead) drained(n int) time.Duration {
	d := float64(n) * float64(b.service.average()) / float64(max(b.limit, 1))
	return time.Duration(min(d, math.MaxInt64/2))
}

// later is t+d, or the longest there is.
func later(t, d time.Duration) time.Duration {
	if t > 0 && d > math.MaxInt64-t {
		return math.MaxInt64
	}
	return t + d
}

// retryAfter is when there may be a place for one that comes then.
func (b *Bulkhead) retryAfter(r Reason) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch place, meter := b.drained(b.queue.len+1), b.terms.Load().meter; {
	case meter == nil:
		return place
	case r == ReasonRate:
		return meter.after(b.queue.len)
	default:
		return max(place, meter.after(b.queue.len))
	}
}
