package bulkhead

import "time"

// standing reports whether the queue does not keep up: it has not been empty for an Interval, and somebody has waited for
// more than Target. In the order of their coming each would then wait until its caller has given up.
//
// That somebody waits long is our addition to Maurer's rule. At nine tenths of the capacity a queue often is not empty for
// long, and yet moves quickly: newest first then costs the older ones more than it gains.
func (b *Bulkhead) standing(now time.Duration) bool {
	switch {
	case b.queue.len == 0 || b.set.inOrder:
		return false
	case b.meter != nil && b.freeLocked() > 0:
		return false // they wait for the rate, which is as it should be: each knows how long it will take
	}
	return now-b.queue.since > b.interval() && now-b.queue.oldest() > b.target()
}

func (b *Bulkhead) interval() time.Duration {
	if b.set.interval > 0 {
		return b.set.interval
	}
	return max(leastInterval, intervalCalls*b.service.average())
}

func (b *Bulkhead) target() time.Duration {
	if b.set.target > 0 {
		return b.set.target
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
	}
}

// hopeless reports whether w would wait in vain: it would not be done before its deadline, or not have a token within
// MaxWait.
func (b *Bulkhead) hopeless(w *waiter, newestFirst bool) (Reason, bool) {
	if w.deadline == 0 && b.meter == nil {
		return 0, false
	}
	ahead := b.queue.ahead(w.class, newestFirst)
	typical := b.service.typical()
	wait := time.Duration(ahead) * b.service.average() / time.Duration(max(b.limit, 1))
	token := time.Duration(0)
	if b.meter != nil {
		token = b.meter.after(ahead)
	}
	switch {
	case w.deadline > 0 && w.since+max(wait, token)+typical > w.deadline:
		return ReasonDeadline, true
	case b.set.maxWait > 0 && token > b.set.maxWait:
		return ReasonRate, true
	}
	return 0, false
}

// tooLate reports whether w, were it to have a place now, would not be done before its deadline.
func (b *Bulkhead) tooLate(w *waiter, now time.Duration) bool {
	return w.deadline > 0 && now+b.service.typical() > w.deadline
}

// retryAfter is when there may be a place for one that comes then.
func (b *Bulkhead) retryAfter(r Reason) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r == ReasonRate && b.meter != nil {
		return b.meter.after(b.queue.len)
	}
	return time.Duration(b.queue.len+1) * b.service.average() / time.Duration(max(b.limit, 1))
}
