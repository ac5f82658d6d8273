package failover

import (
	"math"
	"sync/atomic"
	"time"
)

// cost is what a call has cost of late, in nanoseconds: Finagle's peak-sensitive moving average. A latency above it is taken
// at once; below it, it falls towards the latencies by the time that has passed. While there are none it falls towards zero,
// so that a target which was slow once is tried again.
//
// It is one word: the cost as a float32, and when it was, in ticks.
type cost struct{ word atomic.Uint64 }

const (
	costMemory  = float64(10 * time.Second) // in which all but 1/e is forgotten; Finagle's decayTime
	costTick    = 20                        // bits: a millisecond. 2^32 of them are seven weeks
	unknownCost = float64(math.MaxInt64)    // as price has it
	leastCost   = float64(10 * time.Millisecond)
	mostCost    = float64(time.Minute)
)

// at is the cost at that time; 0: unknown.
func (c *cost) at(now int64) float64 {
	nanos, tick := unpack(c.word.Load())
	return nanos * faded(now, tick)
}

// reset makes it unknown.
func (c *cost) reset() { c.word.Store(0) }

// observe takes note of a call that succeeded.
func (c *cost) observe(now int64, took time.Duration) {
	for {
		old := c.word.Load()
		nanos, tick := unpack(old)
		next := math.Max(float64(took), 1)
		if next < nanos {
			left := faded(now, tick)
			if left == 1 { // too soon to make a difference; were the time taken note of, it would always be
				return
			}
			next += (nanos - next) * left
		}
		if c.word.CompareAndSwap(old, pack(next, now)) {
			return
		}
	}
}

// penalise takes note of one that failed: it has cost more than any that succeeded.
func (c *cost) penalise(now int64, took time.Duration) {
	for {
		old := c.word.Load()
		nanos, tick := unpack(old)
		next := max(float64(took), 2*nanos*faded(now, tick), leastCost)
		if c.word.CompareAndSwap(old, pack(min(next, mostCost), now)) {
			return
		}
	}
}

func pack(nanos float64, now int64) uint64 {
	return uint64(math.Float32bits(float32(nanos)))<<32 | uint64(uint32(now>>costTick))
}

func unpack(word uint64) (nanos float64, tick uint32) {
	return float64(math.Float32frombits(uint32(word >> 32))), uint32(word)
}

// faded is what is left of a cost of that tick.
func faded(now int64, tick uint32) float64 {
	passed := uint32(now>>costTick) - tick
	if passed > math.MaxUint32-1<<10 { // this call's clock is a little behind
		return 1
	}
	x := float64(passed) * (1 << costTick) / costMemory
	if x < 1.0/256 { // the difference is not worth the time
		return 1
	}
	if x < 0.25 { // the series is a fifth of the work, and exact to 0.02 %
		return 1 - x*(1-x*(1-x/3)/2)
	}
	return math.Exp(-x)
}
