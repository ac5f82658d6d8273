package keyed

import (
	"sync/atomic"
	"time"
)

// A clock gives the stamps that tell which Get was later: nanoseconds since the map's start, or a little less, made
// distinct by counting on.
//
// To read the time costs more than the rest of a Get, and keeps the processor from overlapping the cache misses of
// one Get with those of the next. So the time is read once a tick, by whoever comes first; a timer, which runs only
// while there are Gets, says when that is over. In between, stamps count on from there: at a nanosecond each they
// cannot overtake the time.
//
// To count on, all must write one word. As soon as two cores do so at once, that costs more than the rest too; and then
// there is no order between them to be kept. So the first who meets another calls it crowded, and until the tick is over
// all stamps are alike. One goroutine alone has distinct stamps always, also where the time stands still (in a
// synctest bubble).
type clock struct {
	start   time.Time
	tick    time.Duration
	fresh   atomic.Bool // last is at most a tick behind the time
	crowded atomic.Bool // several cores want stamps

	_    line // what changes with each stamp is apart from what all read
	last atomic.Int64
}

// line is a cache line.
type line [64]byte

// longestTick is how far a stamp may be behind the time, at most.
const longestTick = time.Millisecond

// begin starts the clock of a map whose keys go after idleAfter.
func (c *clock) begin(idleAfter time.Duration) {
	c.start, c.tick = time.Now(), longestTick
	if idleAfter > 0 {
		c.tick = min(c.tick, idleAfter/64)
	}
}

// now returns the time, or up to a tick less.
func (c *clock) now() int64 {
	if !c.fresh.Load() {
		c.read()
		if c.fresh.CompareAndSwap(false, true) {
			c.crowded.Store(false)
			time.AfterFunc(c.tick, func() { c.fresh.Store(false) })
		}
	}
	return c.last.Load()
}

// read returns the time itself, and sees to it that stamps are not behind it. It comes before fresh is set: a stamp
// must not be made from a last of long ago.
func (c *clock) read() int64 {
	now := int64(time.Since(c.start))
	for {
		last := c.last.Load()
		if now <= last {
			return last
		}
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// stamp returns the stamp for a Get.
func (c *clock) stamp() int64 {
	last := c.now()
	if c.crowded.Load() {
		return last
	}
	if !c.last.CompareAndSwap(last, last+1) {
		c.crowded.Store(true)
		return last
	}
	return last + 1
}

// touch gives an entry the stamp for a Get. In a crowd it is mostly there already, and a key that all want is only read.
func (c *clock) touch(word *atomic.Int64) {
	if s := c.stamp(); word.Load() < s {
		word.Store(s)
	}
}
