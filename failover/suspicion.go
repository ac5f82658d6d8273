package failover

import (
	"math"
	"sync/atomic"
)

// rhythm is how often a target succeeds, for phi-accrual suspicion (Hayashibara et al. 2004): how unlikely is it, by the
// times between its successes, that there has been none for so long? They are taken to be exponential, as Cassandra does: then
// phi = time / mean / ln 10. It is written only where Config.Suspicion is set.
type rhythm struct {
	from atomic.Int64 // when it succeeded last, or began to be busy again
	mean atomic.Int64 // between two successes, a moving average
	n    atomic.Int32 // how many it is of
}

const (
	rhythmMemory = 64 // successes
	rhythmEnough = 8
)

// beat takes note of a success. Of two at once one may be lost, which does not matter.
func (r *rhythm) beat(now int64) {
	from := r.from.Swap(now)
	gap, n := max(now-from, 0), min(r.n.Load()+1, rhythmMemory)
	r.n.Store(n)
	mean := r.mean.Load()
	r.mean.Store(mean + (gap-mean)/int64(n))
}

// busy takes note that a call has begun where none was under way: before that it was idle, not silent.
func (r *rhythm) busy(now int64) { r.from.Store(now) }

func (r *rhythm) reset() {
	r.n.Store(0)
	r.mean.Store(0)
}

// suspect reports whether a target that has calls under way has been silent for too long. That does not last for ever, as one
// of those calls may never end: after as long as an ejection it is heard anew.
func (s *settings) suspect(t *target, now int64) bool {
	if s.suspicion == 0 || t.inFlight.load() <= t.open.Load() || t.rhythm.n.Load() < rhythmEnough {
		return false
	}
	from := t.rhythm.from.Load()
	phi := float64(now-from) / float64(max(t.rhythm.mean.Load(), 1)) / math.Ln10
	if phi <= s.suspicion {
		return false
	}
	return now-from < int64(s.ejectFor) || !t.rhythm.from.CompareAndSwap(from, now)
}
