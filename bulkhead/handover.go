package bulkhead

import "time"

// handOverLocked gives free places to those who wait.
func (b *Bulkhead) handOverLocked(now time.Duration) {
	if b.queue.len > 0 {
		b.serveLocked(now)
	}
	b.settleLocked()
}

func (b *Bulkhead) serveLocked(now time.Duration) {
	newestFirst, meter := b.standing(now), b.terms.Load().meter
	for b.queue.len > 0 && b.freeLocked() > 0 {
		w := b.queue.front(newestFirst)
		if b.tooLate(w, now) {
			b.answerLocked(w, now, ReasonDeadline)
			b.unsure = true
			continue
		}
		if meter != nil && !meter.allow() {
			b.wakeAfterLocked(now, meter.next())
			break
		}
		w.slot, w.paid = b.grantLocked(), meter
		b.answerLocked(w, now, granted)
	}
	b.forRate = b.queue.len > 0 && b.freeLocked() > 0
	if newestFirst {
		b.shedLocked(now)
	}
}

// resize sets the limit to what wanted says, if by is who finds it, or nil if it is not to be found. Else it reports false:
// by is of terms that are in force no more.
func (b *Bulkhead) resize(by *finder, wanted func() int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.terms.Load().finder != by {
		return false
	}
	b.closeLocked()
	b.limit = wanted()
	b.shrinkLocked()
	b.handOverLocked(b.now())
	return true
}

// wakeAt is when the queue will be looked at for the next token; 0: nobody waits for one.
type wakeAt time.Duration

// wakeAfterLocked sees to it that the queue is looked at when there is a token.
func (b *Bulkhead) wakeAfterLocked(now, wait time.Duration) {
	wait = max(wait, time.Microsecond)
	at := wakeAt(now + wait)
	if b.wakeAt > wakeAt(now) && b.wakeAt <= at {
		return
	}
	b.sleepOnLocked()
	b.wakeAt = at
	b.wake = time.AfterFunc(wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.wakeAt == at {
			b.wakeAt = 0
		}
		if b.queue.len > 0 { // else all may have gone that waited, and the mode may be open
			b.handOverLocked(b.now())
		}
	})
}

// sleepOnLocked is for when nobody waits any more, or for something else: a timer that is left would keep the bulkhead for as
// long as it takes to have a token, and there would be one for each call that has given up.
func (b *Bulkhead) sleepOnLocked() {
	if b.wake != nil {
		b.wake.Stop()
	}
	b.wake, b.wakeAt = nil, 0
}
