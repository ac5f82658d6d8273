package breaker

import (
	"sync/atomic"
	"time"
)

// running knows how many of the calls under way have been running for too long, without a list of them, a lock or
// a timer: a dependency that hangs is to open the breaker before the first of its calls comes back.
//
// Calls are counted by when they started, in slots a quarter of SlowAfter wide. A slot is used again after twice
// SlowAfter; what it still holds then is long overdue, and moves to a count of its own. A slot is one word, its
// number beside its count, so that both change at once.
type running struct {
	after   time.Duration // which is slow
	width   time.Duration
	start   time.Duration    // what slots are numbered from
	slots   [8]atomic.Uint64 // number of the slot << 32 | calls that started in it and are still running
	overdue atomic.Int64     // those of slots that were used again
	judged  atomic.Int64     // the slot in which overdue calls were last looked for
}

const slowSlots = 4 // slots in SlowAfter

func newRunning(slowAfter, now time.Duration) *running {
	return &running{after: slowAfter, width: max(slowAfter/slowSlots, 1), start: now}
}

// number is that of the slot for time now. It wraps around; only differences count.
func (r *running) number(now time.Duration) uint32 { return uint32((now - r.start) / r.width) }

// started counts a call that starts at time now. The number it returns is for ended.
func (r *running) started(now time.Duration) (number uint32) {
	number = r.number(now)
	slot := &r.slots[number%uint32(len(r.slots))]
	for {
		was := slot.Load()
		next, old := was+1, uint32(0)
		switch ahead := int32(uint32(was>>32) - number); {
		case uint32(was) == 0, ahead < 0: // nobody's, or of an earlier round
			next, old = uint64(number)<<32|1, uint32(was)
		case ahead > 0: // our reading of the clock is older than somebody else's by a whole round
			number = uint32(was >> 32)
		}
		if slot.CompareAndSwap(was, next) {
			if old > 0 { // one of those may end in between: overdue is below zero for a moment, which harms nobody
				r.overdue.Add(int64(old))
			}
			return number
		}
	}
}

// ended takes back a call that started in the slot of that number.
func (r *running) ended(number uint32) {
	slot := &r.slots[number%uint32(len(r.slots))]
	for {
		was := slot.Load()
		if uint32(was>>32) != number {
			r.overdue.Add(-1)
			return
		}
		if slot.CompareAndSwap(was, was-1) {
			return
		}
	}
}

// late is how many have been running for longer than SlowAfter at time now. It misses those that crossed the line
// less than a slot ago.
func (r *running) late(now time.Duration) uint64 {
	at := r.number(now)
	n := r.overdue.Load()
	for i := range r.slots {
		was := r.slots[i].Load()
		if int32(at-uint32(was>>32)) > slowSlots {
			n += int64(uint32(was))
		}
	}
	return uint64(max(n, 0))
}

// due reports whether it is time to look for late calls: once a slot is enough.
func (r *running) due(now time.Duration) bool {
	at, last := int64(now/r.width), r.judged.Load()
	return at > last && r.judged.CompareAndSwap(last, at)
}
