package bulkhead

import (
	"math"
	"time"
)

// waiter is a call that waits for a place. It is guarded by the bulkhead's mutex until it is answered; then it
// belongs to its call.
type waiter struct {
	prev, next *waiter
	queued     bool
	answer     Reason // granted, or why it was refused
	class      int
	since      time.Duration
	deadline   time.Duration // of the caller; the longest there is: none

	answered chan struct{}
	at       time.Duration // when it was answered
	slot     *slot         // if granted
	paid     *meter        // likewise: whose token it has. Nil: none
}

// granted is the answer to a call that has its place.
const granted = reasons

// queue holds the calls that wait: a list for each priority, in the order of their coming.
type queue struct {
	lists [priorities]list
	len   int
	max   int
	since time.Duration // when it last was empty
}

type list struct {
	first, last *waiter
	len         int
}

func (q *queue) add(w *waiter) {
	if q.len == 0 {
		q.since = w.since
	}
	q.len++
	w.queued = true
	l := &q.lists[w.class]
	l.len++
	if w.prev = l.last; w.prev != nil {
		w.prev.next = w
	} else {
		l.first = w
	}
	l.last = w
}

func (q *queue) remove(w *waiter) {
	q.len--
	w.queued = false
	l := &q.lists[w.class]
	l.len--
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next = nil, nil
}

// front is who goes next: of those that matter most the first, or if newestFirst the last. The queue is not empty.
func (q *queue) front(newestFirst bool) *waiter {
	for class := priorities - 1; ; class-- {
		switch l := &q.lists[class]; {
		case l.len == 0:
		case newestFirst:
			return l.last
		default:
			return l.first
		}
	}
}

// back is who would go last; nil if nobody waits.
func (q *queue) back(newestFirst bool) *waiter {
	for class := range priorities {
		switch l := &q.lists[class]; {
		case l.len == 0:
		case newestFirst:
			return l.first
		default:
			return l.last
		}
	}
	return nil
}

// ahead is how many would go before one that comes now.
func (q *queue) ahead(class int, newestFirst bool) int {
	n := 0
	for c := class; c < priorities; c++ {
		if c > class || !newestFirst {
			n += q.lists[c].len
		}
	}
	return n
}

// oldest is since when somebody waits. The queue is not empty.
func (q *queue) oldest() time.Duration {
	since := time.Duration(math.MaxInt64)
	for i := range q.lists {
		if w := q.lists[i].first; w != nil {
			since = min(since, w.since)
		}
	}
	return since
}
