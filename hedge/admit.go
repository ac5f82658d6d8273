package hedge

import (
	"math"
	"time"
)

// When another attempt starts, and whether there may be one.

// hedge starts another attempt, after a failure, if there may be one; and sets the timer for the one after it.
func (r *race) hedge(by starter) {
	a := r.admit(false)
	if a != nil {
		r.start(a, by)
	}
	r.arm(by, a != nil)
}

// admit returns another attempt if there may be one. slow is whether it is wanted because those before take long. Should the
// Budget panic, that ends the race, and what is reserved is of no account.
func (r *race) admit(slow bool) *runner {
	if r.gone() || r.pointless() { // the caller is about to go
		return nil
	}
	again, room := r.reserve()
	if !room {
		return nil
	}
	denied, why := r.denied(slow && !again)
	r.mu.Lock()
	r.refused = denied
	if !denied {
		r.granted++
		a := &runner{number: 1 + r.granted}
		r.mu.Unlock()
		return a
	}
	r.reserved--
	r.mu.Unlock()
	if !again {
		r.p.counts.denied[why].Add(1)
	}
	r.noLonger(true) // the others may have failed meanwhile
	return nil
}

// reserve keeps room for one more attempt, which is pending then. again is whether it is the one that was denied before.
func (r *race) reserve() (again, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.roomLocked() {
		return false, false
	}
	r.pending++
	r.reserved++
	return r.refused, true
}

// denied says why there is no hedge although there might be one more. slow is whether that is one more that is slow.
func (r *race) denied(slow bool) (bool, denial) {
	if end, ok := r.ctx.Deadline(); ok && time.Until(end) < r.pace.typical() {
		return true, deniedDeadline
	}
	if !r.p.load.allow(r.set.MaxExtraLoad, r.p.counts.calls.Load(), slow) {
		return true, deniedLoad
	}
	if b := r.set.Budget; b != nil && !b.Withdraw() {
		r.p.load.giveBack(r.set.MaxExtraLoad)
		return true, deniedBudget
	}
	return false, 0
}

// arm sets the timer for the next hedge: the delay counts from the start of the last attempt. If that was denied, another
// is asked for later, after twice as long each time: the slowest calls come into the credit that others leave.
func (r *race) arm(by starter, started bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.roomLocked() {
		return
	}
	if r.next = 2 * min(max(r.next, leastWait/2), longestWait/2); started {
		r.next = r.delay
	}
	switch {
	case r.next == 0:
		go r.tick(by)
	case r.timer != nil:
		r.timer.Reset(r.next)
	default:
		r.timer = time.AfterFunc(r.next, func() { r.tick(by) })
	}
}

// Between two times that a hedge is asked for: without the least, a Delay of none would ask all the time.
const (
	leastWait   = time.Millisecond
	longestWait = time.Duration(math.MaxInt64)
)

// tick makes a hedge if there may be one. It runs in a goroutine of its own, which then is the attempt's.
func (r *race) tick(by starter) {
	over := false
	defer func() {
		if !over { // the Budget panicked, or a logger
			r.aborted(nil, recover())
		}
	}()
	a := r.admit(true)
	ready := a != nil && r.ready(a)
	r.arm(by, a != nil)
	over = true
	if ready {
		by.run(a)
	}
}

// room reports whether there may be one more attempt, as far as their number goes.
func (r *race) room() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roomLocked()
}

func (r *race) roomLocked() bool {
	return r.state == open && len(r.hedges)+r.reserved < r.set.MaxHedges
}
