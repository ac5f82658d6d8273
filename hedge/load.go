package hedge

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// load keeps hedges at a share of the calls. Each call brings in its share of a hedge; unspent, ten are kept at most, so
// that a quiet hour does not pay for a storm. The first calls of all have a few for nothing.
//
// That alone would hedge whoever comes first, not the slowest. So where more hedges are wanted than there may be, delays
// are stretched until it is as many as there may be. And where many more are wanted, calls have become slow all together:
// another attempt then meets what the first has met, and adds to it. So the more are wanted, the fewer there are.
type load struct {
	share float64 // below zero: no bound

	mu     sync.Mutex
	credit float64
	calls  uint64  // that have been credited
	wanted float64 // hedges for each call, of late

	stretch atomic.Uint64 // the bits of a float64; 0: 1
}

const (
	mostCredit  = 10
	firstCredit = 5
	mostStretch = 10
	memory      = 50  // hedges: how many of the last ones wanted counts
	tooMany     = 1.5 // times the share: more is a slow-down
)

// allow takes a hedge from the credit, if it is there. calls is how many there were since the start.
func (l *load) allow(calls uint64) bool {
	if l.share < 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := 0.0
	if calls > l.calls {
		fresh = float64(calls - l.calls)
		l.calls = calls
	}
	l.want(fresh)
	l.credit = min(l.credit+fresh*l.share*l.restraint(), mostCredit)
	if l.credit < 1 {
		return false
	}
	l.credit--
	return true
}

// want takes note of a hedge that is wanted, so many calls after the one before.
func (l *load) want(calls float64) {
	// The mean number of calls between two, whose inverse it is.
	gap := 1 / l.share
	if l.wanted > 0 {
		gap = 1 / l.wanted
	}
	gap += (calls - gap) / memory
	l.wanted = 1 / max(gap, 1.0/16)

	s := l.factor()
	if l.wanted > l.share {
		s *= 1.01
	} else {
		s *= 0.995
	}
	l.stretch.Store(math.Float64bits(min(max(s, 1), mostStretch)))
}

// restraint is what is left of the share when calls are slow all together.
func (l *load) restraint() float64 {
	return min(1, tooMany*l.share/l.wanted)
}

func (l *load) factor() float64 {
	if bits := l.stretch.Load(); bits != 0 {
		return math.Float64frombits(bits)
	}
	return 1
}

// stretched is a learned delay, longer if it would lead to too many hedges.
func (l *load) stretched(d time.Duration) time.Duration {
	return time.Duration(float64(d) * l.factor())
}
