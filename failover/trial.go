package failover

import (
	"sync/atomic"
	"time"
)

// trial says since when a call finds out whether a target is well again: 1 + when it began; 0: there is none.
type trial struct{ from atomic.Int64 }

// longestTrial is how long a trial may take, or as long as the longest ejection, before there may be another.
const longestTrial = 30 * time.Second

// take begins a trial at that time, unless there is one under way. One that has taken too long is given up: its call may
// never come back, or a Lease have been dropped.
func (t *trial) take(now int64, tooLong time.Duration) bool {
	from := t.from.Load()
	if from != 0 && now+1-from < int64(tooLong) {
		return false
	}
	return t.from.CompareAndSwap(from, now+1)
}

// over ends the trial of a call that began then, unless that was given up, and another has begun since.
func (t *trial) over(began time.Duration) {
	if from := t.from.Load(); from != 0 && from <= int64(began)+1 {
		t.from.CompareAndSwap(from, 0)
	}
}

// tryOut returns a target that this call is to find out about; nil: there is none. A patient call is one that had better not:
// it cannot be repeated, or has a target of its own. It does only when no other has for a while, as else there may be
// none that does. Of many targets one is tried after the other, all of them in as long as an ejection lasts.
func (g *core) tryOut(t *table, patient bool, now int64) *target {
	if many := len(t.trials); many > fewTrials {
		next := g.nextTrial.Load()
		if now < next || !g.nextTrial.CompareAndSwap(next, now+int64(t.set.ejectFor)/int64(many)) {
			return nil
		}
	}
	for _, x := range t.trials {
		if patient && now-x.since.Load() < int64(t.set.ejectFor) {
			continue
		}
		if refused := x.refused.Load(); refused != 0 && t.ready > 0 && now-refused < int64(t.set.ejectFor)/trialsRefused {
			continue
		}
		if x.trial.take(now, max(t.set.maxEjectFor, longestTrial)) {
			return x
		}
	}
	return nil
}

// trialsRefused is how many trials of a target there are in the time of an ejection, if it refuses them and another is healthy. It
// says neither that the target is well nor that it is not; without a bound each call would go there first.
const trialsRefused = 10

// fewTrials are so many that calls may begin with all of them in a row.
const fewTrials = 8
