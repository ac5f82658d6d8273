// Package inorder delivers what happens to a policy to the user's callbacks: in order, one at a time, and never under
// the lock that keeps the order.
package inorder

import "sync"

// Queue has what is still to be told. Put is called under the lock of what it tells of, and Deliver when that has been let
// go. The zero Queue is empty.
type Queue[E any] struct {
	queue      []E
	delivering bool
}

// Put adds to the end. The caller holds the lock.
func (q *Queue[E]) Put(e E) { q.queue = append(q.queue, e) }

// Len is how much is to be told. The caller holds the lock.
func (q *Queue[E]) Len() int { return len(q.queue) }

// Deliver tells what is in the queue. The caller does not hold mu. Who finds somebody delivering leaves its own to them; so
// does a tell that puts more in. A panic of tell's, or runtime.Goexit, reaches the caller, and the rest is told all the
// same.
func (q *Queue[E]) Deliver(mu *sync.Mutex, tell func(E)) {
	mu.Lock()
	if q.delivering || len(q.queue) == 0 {
		mu.Unlock()
		return
	}
	q.delivering = true
	mu.Unlock()
	over := false
	defer func() {
		if over {
			return
		}
		mu.Lock()
		q.delivering = false
		mu.Unlock()
		q.Deliver(mu, tell)
	}()
	for {
		mu.Lock()
		if len(q.queue) == 0 {
			q.queue = nil
			q.delivering = false // under the same lock as the look at the queue, or something could be left behind
			over = true
			mu.Unlock()
			return
		}
		next := q.queue[0]
		q.queue = q.queue[1:]
		mu.Unlock()
		tell(next)
	}
}
