package deadline

import "context"

// A leader is what a link follows, and ends with: the link of a Context above it, or the hub of a parent of another kind.
type leader interface {
	join(*follower) joining // it is told of the end, once
	leave(*follower)        // it may have been told, or be about to be

	// keep takes a channel that nobody else closes, and closes it at the end, but does not keep it alive. If it reports
	// false the end has come, and the channel is still whose it was.
	keep(chan struct{}) bool
	// swap is keep, and leave if that was done.
	swap(*follower, chan struct{}) bool
	// withdraw takes back a channel that keep has taken, for one who ended alone. If it reports false the end has come, and
	// the channel is closed, or about to be.
	withdraw(chan struct{}) bool
}

type joining int

const (
	joined joining = iota
	over           // it has ended
	gone           // somebody else leads now
)

// leaderOf finds it for a parent, whose Done is done.
func leaderOf(parent context.Context, done <-chan struct{}) leader {
	if c, ok := parent.(*Context); ok { // a common case, which need not lock
		if leader := c.leads(done); leader != nil {
			return leader
		}
	}
	if h := hubs.find(done); h != nil {
		return h
	}
	if leader := linkAbove(parent, done); leader != nil {
		return leader
	}
	return hubs.open(parent, done)
}

// linkAbove finds who leads those that follow the Context that parent adds values to.
func linkAbove(parent context.Context, done <-chan struct{}) leader {
	if c := contextAbove(parent, done); c != nil {
		return c.leads(done)
	}
	return nil
}

// contextAbove finds the Context that parent adds values to: the one with the same channel.
func contextAbove(parent context.Context, done <-chan struct{}) *Context {
	for {
		c, ok := parent.Value(nearest{}).(*Context)
		if !ok {
			return nil
		}
		if c.link.Load() != unasked {
			if c.leads(done) == nil {
				return nil
			}
			return c
		}
		parent = c.parent // whose channel is that of c
	}
}

// afterFunc is [context.AfterFunc] that starts no goroutine to wait where parent adds values to a Context.
func afterFunc(parent context.Context, f func()) (stop func() bool) {
	if c := contextAbove(parent, parent.Done()); c != nil {
		return c.AfterFunc(f)
	}
	return context.AfterFunc(parent, f)
}

// leads returns who leads those that have the Context for their parent, unless its channel is another.
func (c *Context) leads(done <-chan struct{}) leader {
	l := c.link.Load()
	if l == nil || l == unasked || c.done != done {
		return nil
	}
	for l.state.Load() == loose {
		above, ok := l.leader.(*link)
		if !ok {
			return l.leader
		}
		l = above
	}
	return l
}

func (l *link) join(f *follower) joining {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state.Load() {
	case ended:
		return over
	case loose:
		return gone
	}
	l.followers.add(f)
	return joined
}

func (l *link) leave(f *follower) { l.remove(f) }

func (l *link) keep(done chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keepLocked(done)
}

func (l *link) keepLocked(done chan struct{}) bool {
	switch s := l.state.Load(); {
	case s == ended:
		return false
	case s == running || l.leader == nil:
		if l.kept == nil {
			l.kept = &channels{}
		}
		l.kept.keep(done)
		return true
	}
	return l.leader.keep(done) // the end is the leader's
}

func (l *link) swap(f *follower, done chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.keepLocked(done) {
		return false
	}
	l.followers.remove(f)
	l.loosen()
	return true
}

func (l *link) withdraw(done chan struct{}) bool {
	l.mu.Lock()
	switch s := l.state.Load(); {
	case s == ended:
		l.mu.Unlock()
		return false
	case s == running || l.leader == nil:
		defer l.mu.Unlock()
		return l.kept != nil && l.kept.remove(done)
	}
	l.mu.Unlock() // the leader may tell us
	return l.leader.withdraw(done)
}
