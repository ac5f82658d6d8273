package deadline

import (
	"context"
	"time"
	"unsafe"
	"weak"
)

// What cannot be brought about from outside but by luck.

// FinishBetweenTwoSteps ends a hub in the middle of a sweep that has moved channels, of which every other one was collected,
// and returns all that should be closed.
func FinishBetweenTwoSteps() (alive []chan struct{}) {
	h := &hub{done: make(chan struct{})}
	for i := range 3 * sweepStep {
		done := make(chan struct{})
		if i%2 == 0 {
			h.channels.kept = append(h.channels.kept, weak.Pointer[byte]{})
			continue
		}
		alive = append(alive, done)
		h.channels.kept = append(h.channels.kept, weak.Make(*(**byte)(unsafe.Pointer(&done))))
	}
	from, to := 0, 0
	h.dropDead(&from, &to)
	h.finish()
	h.dropDead(&from, &to)
	return alive
}

// FoundAndRetired finds the hub of a parent, which is retired before ctx can join it, and reports whether ctx found another.
func FoundAndRetired(parent context.Context) (refused, another bool) {
	h := hubs.open(parent, parent.Done())
	hubs.publish(h)
	if !hubs.retire(h) {
		return false, false
	}
	h.close()
	c := New(parent, time.Time{})
	place := &follower{}
	refused = h.join(place) == gone
	c.Done()
	return refused, c.link.Load().leader != leader(h)
}
