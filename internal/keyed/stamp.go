package keyed

import (
	"sync/atomic"
	"time"
)

// A clock gives the stamps that tell which Get was later: nanoseconds since the map's start, made distinct where the
// time stands still, as it does in a synctest bubble.
//
// To be sure that a stamp is above all others, each would have to be written where all can see it, and that one word
// would cost more than the rest of a Get as soon as two cores want it. But where the clock moves on between any two
// readings, time alone keeps the stamps of one goroutine apart. So last is written only when the clock has moved by
// more than slack since; if the clock has not moved since last was written, last counts the stamps. Slack is zero where
// the clock does not move between readings, as measured when the map is made: all stamps are distinct then.
type clock struct {
	start time.Time
	slack int64

	_    line
	last atomic.Int64
}

// line keeps what changes off the cache line of what all read.
type line [64]byte

// fineSlack is how far a clock that moves with each reading may go before it is written down: so far that the writes are
// too few to be felt.
const fineSlack = int64(20 * time.Microsecond)

// begin measures the clock with a few readings.
func (c *clock) begin() {
	c.start, c.slack = time.Now(), fineSlack
	then := c.now()
	for range 16 {
		now := c.now()
		if now == then {
			c.slack = 0
		}
		then = now
	}
}

func (c *clock) now() int64 { return int64(time.Since(c.start)) }

// stamp returns the stamp for a Get at now.
func (c *clock) stamp(now int64) int64 {
	last := c.last.Load()
	if now-last > c.slack {
		if c.last.CompareAndSwap(last, now) {
			return now
		}
		last = c.last.Load() // another Get has moved it
	}
	if now > last {
		return now
	}
	return c.last.Add(1)
}

// touch gives an entry that was last used at used the stamp for a Get at now.
//
// If another Get of the entry comes between, several cores want it at once, and would hand its cache line to and fro for
// every Get. The order among them is free, so the entry gets a stamp some way ahead of time: until then those who find
// it need not write. One goroutine alone never comes here, nor does a map whose stamps are all distinct.
func (c *clock) touch(word *atomic.Int64, used, now int64) {
	if s := c.stamp(now); used < s && !word.CompareAndSwap(used, s) && c.slack > 0 {
		word.Store(s + c.slack)
	}
}
