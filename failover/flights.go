package failover

import (
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// flights counts the calls under way at a target. Where nobody compares targets by it, cores count apart: it is written
// twice by each call, and one word for all would cost more than all the rest of a call once two cores want it.
type flights struct {
	mode   atomic.Uint32
	one    atomic.Int64
	spread stripe.Counter
}

// How flights are counted: a call that began while it was done one way, and ends while it is done another, leaves both counts
// wrong, and their sum right.
const (
	together = iota // in one; there is nothing in spread
	apart           // in spread
	both            // in one, with something in spread
)

// part says whether cores are to count apart.
func (f *flights) part(yes bool) {
	switch mode := f.mode.Load(); {
	case yes:
		f.mode.Store(apart)
	case mode == apart:
		f.mode.Store(both)
	}
}

// add returns how many there are then; 0 if cores count apart.
func (f *flights) add(n int64) int64 {
	switch f.mode.Load() {
	case apart:
		f.spread.AddN(uint64(n)) // which wraps around, below zero too
		return 0
	case both:
		return f.one.Add(n) + int64(f.spread.Load())
	}
	return f.one.Add(n)
}

// load is how many there are. Where cores count apart, or have, and calls end meanwhile, it may be a few too many or too few.
func (f *flights) load() int64 {
	if f.mode.Load() == together {
		return f.one.Load()
	}
	return max(f.one.Load()+int64(f.spread.Load()), 0)
}

// compares reports whether targets are compared by their calls under way.
func (s *settings) compares() bool {
	return s.balance == LeastLoaded || s.balance == PeakEWMA || s.suspicion > 0
}
