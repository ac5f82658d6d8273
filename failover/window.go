package failover

import "time"

// tally is what came of calls to one target.
type tally struct {
	good, bad uint64
	took      time.Duration // the good ones, together
	timed     uint64        // good ones of whose time no more was heeded than core.heeded
	heeded    time.Duration // that, together
}

func (t *tally) add(other tally) {
	t.good += other.good
	t.bad += other.bad
	t.took += other.took
	t.timed += other.timed
	t.heeded += other.heeded
}

func (t *tally) calls() uint64 { return t.good + t.bad }

// mean is how long a success takes.
func (t *tally) mean() time.Duration {
	if t.good == 0 {
		return 0
	}
	return t.took / time.Duration(t.good)
}

// typical is the mean in which no single call counts for much.
func (t *tally) typical() float64 { return float64(t.heeded) / float64(max(t.timed, 1)) }

// window is the tallies of the last while, each of a spell. It belongs to who holds core.mu.
type window struct {
	spell [spells]tally
	next  int
	past  tally // of what has left it
}

const spells = 4

// add puts a spell in for the oldest.
func (w *window) add(t tally) {
	w.past.add(w.spell[w.next])
	w.spell[w.next] = t
	w.next = (w.next + 1) % spells
}

// busiest is how many successes a spell has had.
func (w *window) busiest() (n uint64) {
	for _, s := range w.spell {
		n = max(n, s.good)
	}
	return n
}

func (w *window) sum() (t tally) {
	for _, s := range w.spell {
		t.add(s)
	}
	return t
}

// clear forgets what would speak against a target that is to begin anew.
func (w *window) clear() {
	w.past.add(w.sum())
	w.spell = [spells]tally{}
}

// A success and its time share a counter, so that they are one atomic addition: the count in the upper 24 bits, the time
// below in units of 64 ns. That is 16 million successes in a spell, and 19 hours of their time: maxWindow and mostHeeded keep
// to that.
const (
	countBit  = 40
	timeUnit  = 6
	longest   = 1<<30 - 1 // of one, in units: 69 seconds
	timeUnits = 1<<countBit - 1

	// maxWindow has spells of 2.5 minutes: 100,000 successes a second on one target.
	maxWindow = 10 * time.Minute

	// leastHeeded is so little that not even 16 million successes add up to more than there is room for.
	leastHeeded = 1 << (countBit - 24 + timeUnit) * time.Nanosecond
)

// mostHeeded is how much of the time of one call there is room for, if a spell has twice as many successes as the busiest.
func mostHeeded(busiest uint64) time.Duration {
	room := time.Duration(timeUnits/(2*max(busiest, 1))) << timeUnit
	return max(min(room, longest<<timeUnit), leastHeeded)
}

func packed(took time.Duration) uint64 {
	return 1<<countBit | uint64(min(max(took, 0)>>timeUnit, longest))
}

func unpacked(n uint64) tally {
	return tally{good: n >> countBit, took: time.Duration(n&timeUnits) << timeUnit}
}

// latest is what has come since the last judgement.
func (s *state) latest() tally {
	t := unpacked(s.good.Load())
	t.took += time.Duration(s.excess.Load())
	t.bad = s.bad.Load()
	return t
}

// turnLocked begins another spell. limited says that core.heeded was set in this one.
func (s *state) turnLocked(limited bool) {
	t := unpacked(s.good.Take())
	if limited {
		t.timed, t.heeded = t.good, t.took
	}
	t.took += time.Duration(s.excess.Swap(0))
	t.bad = s.bad.Swap(0)
	s.window.add(t)
}
