package deadline

// waiters is a ring of functions in the order of their registration. The link's mutex guards it.
type waiters struct {
	first *waiter
}

type waiter struct {
	f          func()
	next, prev *waiter // nil when it is not in the ring
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
	if w.next == nil {
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

func (ws *waiters) takeAll() []func() {
	var fs []func()
	for !ws.empty() {
		w := ws.first
		fs = append(fs, w.f)
		ws.remove(w)
	}
	return fs
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
