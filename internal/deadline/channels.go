package deadline

import (
	"slices"
	"unsafe"
	"weak"
)

// channels are those of released contexts, kept by whom the contexts follow, who closes them at the end. Its mutex guards
// them. Nobody can know who still waits for one, so they are held weakly before long. Why that is sound:
//
//   - The Context holds its channel, so the channel lives at least as long.
//   - A goroutine that waits on the channel keeps it alive: its stack and its sudog point to it. (The garbage
//     collector's search for leaked goroutines, an experiment of Go 1.26, is another matter: it takes such a waiter for
//     leaked and reports it. It does not free anything of it.)
//   - A channel is one heap object, always: makechan allocates it, escape analysis has no say. A chan value is the pointer
//     to it; package reflect promises as much.
type channels struct {
	fresh []chan struct{}      // given a short while ago
	kept  []weak.Pointer[byte] // given before: channels, as long as they live
}

// sweepStep is how many channels a sweep looks at before it lets others have the lock: a few microseconds.
const sweepStep = 64

func (c *channels) add(done chan struct{}) { c.fresh = append(c.fresh, done) }

func (c *channels) empty() bool { return len(c.fresh) == 0 && len(c.kept) == 0 }

// keep is add where nobody sweeps. If there are many, each pays a share of a sweep: the dead are looked for when there is no
// room, and there is room for as many as live afterwards.
func (c *channels) keep(done chan struct{}) {
	c.add(done)
	n := len(c.fresh)
	if n < sweepStep {
		return
	}
	if len(c.kept)+n > cap(c.kept) {
		for from, to := 0, 0; c.dropDead(&from, &to); {
		}
		c.kept = slices.Grow(c.kept, len(c.kept)+n)
	}
	c.weaken(n)
}

// remove reports whether the channel was there.
func (c *channels) remove(done chan struct{}) bool {
	for i, other := range c.fresh {
		if other == done {
			last := len(c.fresh) - 1
			c.fresh[i], c.fresh[last] = c.fresh[last], nil
			c.fresh = c.fresh[:last]
			return true
		}
	}
	for i, p := range c.kept {
		if channelAt(p) == done {
			c.kept[i] = weak.Pointer[byte]{} // not moved: a sweep may be under way
			return true
		}
	}
	return false
}

// close closes those that live.
func (c *channels) close() {
	for _, done := range c.fresh {
		close(done)
	}
	for _, p := range c.kept {
		if done := channelAt(p); done != nil {
			close(done)
		}
	}
}

// moveTo gives them to somebody else, one by one, until that does not take them any more.
func (c *channels) moveTo(keep func(chan struct{}) bool) (all bool) {
	for n := len(c.fresh); n > 0; n-- {
		if !keep(c.fresh[n-1]) {
			return false
		}
		c.fresh = c.fresh[:n-1]
	}
	for n := len(c.kept); n > 0; n-- {
		if done := channelAt(c.kept[n-1]); done != nil && !keep(done) {
			return false
		}
		c.kept = c.kept[:n-1]
	}
	return true
}

// weaken makes the last n of fresh weak.
func (c *channels) weaken(n int) {
	rest := max(len(c.fresh)-n, 0)
	for i, done := range c.fresh[rest:] {
		c.kept = append(c.kept, weak.Make(*(**byte)(unsafe.Pointer(&done))))
		c.fresh[rest+i] = nil
	}
	c.fresh = c.fresh[:rest]
	if rest == 0 && cap(c.fresh) > 16*sweepStep {
		c.fresh = nil // a burst's
	}
}

// dropDead moves the living of kept[from:] to kept[to:], a step of them. It reports whether there are more.
func (c *channels) dropDead(from, to *int) bool {
	for end := min(*from+sweepStep, len(c.kept)); *from < end; *from++ {
		p := c.kept[*from]
		c.kept[*from] = weak.Pointer[byte]{} // each at most once: the parent may end between two steps
		if p.Value() != nil {
			c.kept[*to] = p
			*to++
		}
	}
	if *from < len(c.kept) {
		return true
	}
	c.kept = c.kept[:min(*to, len(c.kept))]
	if cap(c.kept) > 4*len(c.kept)+sweepStep {
		c.kept = append([]weak.Pointer[byte](nil), c.kept...)
	}
	return false
}

// channelAt returns nil if it was collected.
func channelAt(p weak.Pointer[byte]) chan struct{} {
	alive := unsafe.Pointer(p.Value())
	return *(*chan struct{})(unsafe.Pointer(&alive))
}
