package deadline

// follower is one that is told of an end: a function, or the link of a Context below. It has its place in a ring, so that
// to come and to go are a few pointers.
type follower struct {
	f    func() // nil: it is a link's
	link *link

	next, prev *follower // prev is nil when it is in no ring
}

// followers is a ring of them in the order in which they came. The mutex of who has the ring guards it.
type followers struct {
	first *follower
}

func (fs *followers) empty() bool { return fs.first == nil }

func (fs *followers) add(f *follower) {
	if fs.first == nil {
		f.next, f.prev = f, f
		fs.first = f
		return
	}
	last := fs.first.prev
	f.next, f.prev = fs.first, last
	last.next, fs.first.prev = f, f
}

// remove reports whether f was in the ring.
func (fs *followers) remove(f *follower) bool {
	if f.prev == nil {
		return false
	}
	switch {
	case f.next == f:
		fs.first = nil
	case fs.first == f:
		fs.first = f.next
	}
	f.prev.next, f.next.prev = f.next, f.prev
	f.next, f.prev = nil, nil
	return true
}

// takeAll empties the ring. What was in it is now a list, through next, that nobody else touches.
func (fs *followers) takeAll() *follower {
	first := fs.first
	if first == nil {
		return nil
	}
	first.prev.next = nil
	for f := first; f != nil; f = f.next {
		f.prev = nil
	}
	fs.first = nil
	return first
}

// tellAll tells those from f on, functions each in a goroutine of its own. No lock is held.
func tellAll(f *follower) {
	for f != nil {
		next := f.next
		f.next = nil // the stop function of one is not to keep the functions of others
		if f.f != nil {
			go f.f()
		} else {
			f.link.told()
		}
		f = next
	}
}
