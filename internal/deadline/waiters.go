package deadline

// waiters is a ring of functions in the order of their registration. The link's mutex guards it.
type waiters struct {
	first *waiter
}

type waiter struct {
	f    func()
	next *waiter
	prev *waiter // nil when it is not in the ring
}

func (ws *waiters) empty() bool { return ws.first == nil }

func (ws *waiters) add(w *waiter) {
	if ws.first == nil {
		w.next, w.prev = w, w
		ws.first = w
		return
	}
	last := ws.first.prev
	w.next, w.prev = ws.first, last
	last.next, ws.first.prev = w, w
}

// remove reports whether w was in the ring.
func (ws *waiters) remove(w *waiter) bool {
	if w.prev == nil {
		return false
	}
	switch {
	case w.next == w:
		ws.first = nil
	case ws.first == w:
		ws.first = w.next
	}
	w.prev.next, w.next.prev = w.next, w.prev
	w.next, w.prev = nil, nil
	return true
}

// takeAll empties the ring. What was in it is now a list, through next, that nobody else touches.
func (ws *waiters) takeAll() *waiter {
	first := ws.first
	if first == nil {
		return nil
	}
	first.prev.next = nil
	for w := first; w != nil; w = w.next {
		w.prev = nil
	}
	ws.first = nil
	return first
}

// startAll calls the functions from w on, each in a goroutine of its own.
func startAll(w *waiter) {
	for w != nil {
		next := w.next
		w.next = nil // the stop function of one is not to keep the functions of others
		go w.f()
		w = next
	}
}

// afterFunc is [Context.AfterFunc].
func (l *link) afterFunc(f func()) (stop func() bool) {
	w := &waiter{f: f}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Load() == ended {
		go f()
		return func() bool { return false }
	}
	l.waiters.add(w)
	return func() bool { return l.stopWaiter(w) }
}

func (l *link) stopWaiter(w *waiter) bool {
	l.mu.Lock()
	removed := l.waiters.remove(w)
	leash := l.looseLocked()
	l.mu.Unlock()
	if leash != nil {
		leash.forget() // this may be a cleanup too, that of a Context below
	}
	return removed
}
