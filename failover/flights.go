package failover

import (
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// flights counts the calls under way at a target. Where nobody compares targets by it, cores count apart: it is written
// twice by each call, and one word for all would cost more than all the rest of a call once two cores want it.
type flights struct {
	apart  bool // set before it is used
	one    atomic.Int64
	spread stripe.Counter
}

// add returns how many there are then; 0 if cores count apart.
func (f *flights) add(n int64) int64 {
	if f.apart {
		f.spread.AddN(uint64(n)) // which wraps around, below zero too
		return 0
	}
	return f.one.Add(n)
}

// load is how many there are. Where cores count apart, and calls end meanwhile, it may be a few too many or too few.
func (f *flights) load() int64 {
	if f.apart {
		return max(int64(f.spread.Load()), 0)
	}
	return f.one.Load()
}

// compares reports whether targets are compared by their calls under way.
func (s *settings) compares() bool {
	return s.balance == LeastLoaded || s.balance == PeakEWMA || s.suspicion > 0
}
