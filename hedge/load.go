package hedge

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// load keeps hedges at a share of the calls. Each call brings in its share of a hedge. Ten are kept at most, and what the
// calls of about the last moment have brought in: so those that begin at once, a thousand reads say, have their share although
// the slow ones of them all ask at the same instant, and yet a quiet hour does not pay for a storm. The first calls of all have
// a few for nothing.
//
// That alone would hedge whoever comes first, not the slowest. So where more hedges are wanted than there may be, delays
// are stretched until it is as many as there may be; with each call they shrink again, so that the stretch does not outlast
// its reason. And where many more are wanted, calls have become slow all together: another attempt then meets what the first
// has met, and adds to it. So the more are wanted, the fewer there are.
//
// The share is the MaxExtraLoad of who asks; below zero there is no bound.
type load struct {
	stretch atomic.Uint64 // the bits of a float64; 0: 1
	next    atomic.Int64  // when the moment is over

	mu       sync.Mutex
	credit   float64
	calls    uint64  // that have been credited
	asked    uint64  // hedges that were wanted
	marks    [2]mark // the start of the moment, and of the one before
	wanted   float64 // hedges for each call, of late
	wantedAt uint64  // the number of calls when one was last wanted
	scaled   uint64  // the number of calls that the stretch has shrunk for
}

// mark is how many there were since the start: calls, and hedges that were wanted.
type mark struct{ calls, asked uint64 }

const (
	mostCredit  = 10
	firstCredit = 5
	moment      = 100 * time.Millisecond
	mostStretch = 10
	step        = 0.01 // of the stretch, with each hedge that is too many; back again with each that there may be
	memory      = 50   // hedges: how many of the last ones wanted counts
	tooMany     = 1.5  // times the share: more is a slow-down
)

// called takes note of a call; calls has counted it. But for once in a moment it only looks at the time.
func (l *load) called(share float64, now time.Duration, calls *stripe.Counter) {
	if share < 0 || now < time.Duration(l.next.Load()) {
		return
	}
	n := calls.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := time.Duration(l.next.Load())
	if now < next { // another call was quicker
		return
	}
	l.marks[1] = l.marks[0]
	if l.marks[0] = (mark{n - 1, l.asked}); now >= next+moment { // nobody called in the moment before
		l.marks[1] = l.marks[0]
	}
	l.shrink(share, n)
	l.next.Store(int64(now + moment))
}

// allow takes a hedge from the credit, if it is there. calls is how many there were since the start; slow, that it is wanted
// because a call is slow, and not for a failure, which says nothing of how slow calls are; and that it was not asked for before.
func (l *load) allow(share float64, calls uint64, slow bool) bool {
	if share < 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := 0.0
	if calls > l.calls {
		fresh = float64(calls - l.calls)
		l.calls = calls
	}
	if slow {
		l.want(share, calls)
	}
	l.credit = min(l.credit+fresh*share*l.restraint(share), max(mostCredit, l.lately()*share))
	if l.credit < 1 {
		return false
	}
	l.credit--
	return true
}

// resume is for a bound where there was none for a while. The credit is what it was before that, and nothing else is: calls
// that nobody took note of bring in none, and say nothing of how many hedges are wanted now.
func (l *load) resume(now time.Duration, calls uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls, l.wantedAt, l.scaled = calls, calls, calls
	l.marks = [2]mark{{calls, l.asked}, {calls, l.asked}}
	l.wanted = 0
	l.stretch.Store(0)
	l.next.Store(int64(now + moment))
}

// giveBack returns a hedge that was not made.
func (l *load) giveBack(share float64) {
	if share < 0 {
		return
	}
	l.mu.Lock()
	l.credit++
	l.mu.Unlock()
}

// lately is how many calls there were in this moment and the one before.
func (l *load) lately() float64 { return float64(l.calls - min(l.marks[1].calls, l.calls)) }

// want takes note of a hedge that is wanted, in the call with that number or one soon before.
func (l *load) want(share float64, calls uint64) {
	l.asked++
	since := 0.0
	if calls > l.wantedAt {
		since = float64(calls - l.wantedAt)
		l.wantedAt = calls
	} else { // several at the same instant, as of calls that began at once: what counts is how many those are
		since = l.lately() / float64(l.asked-l.marks[1].asked)
	}
	// The mean number of calls between two, whose inverse it is.
	gap := 1 / share
	if l.wanted > 0 {
		gap = 1 / l.wanted
	}
	gap += (since - gap) / memory
	l.wanted = 1 / max(gap, 1.0/16)
	l.shrink(share, calls)
	if l.wanted > share {
		l.scale(1 + step)
	}
}

// shrink takes from the stretch what the calls until now take.
func (l *load) shrink(share float64, calls uint64) {
	if calls <= l.scaled {
		return
	}
	n := float64(calls - l.scaled)
	l.scaled = calls
	if l.stretch.Load() == 0 {
		return
	}
	l.scale(math.Pow(1-step*min(share, 1), n))
}

// scale changes the stretch.
func (l *load) scale(by float64) {
	s := factor(l.stretch.Load()) * by
	if s <= 1 {
		l.stretch.Store(0)
		return
	}
	l.stretch.Store(math.Float64bits(min(s, mostStretch)))
}

// restraint is what is left of the share when calls are slow all together.
func (l *load) restraint(share float64) float64 {
	return min(1, tooMany*share/l.wanted)
}

func factor(bits uint64) float64 {
	if bits == 0 {
		return 1
	}
	return math.Float64frombits(bits)
}

// stretched is a learned delay, longer if it would lead to too many hedges.
func (l *load) stretched(d time.Duration) time.Duration {
	return time.Duration(min(float64(d)*factor(l.stretch.Load()), math.MaxInt64/2)) // more is below zero, and at once
}
