package deadline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A link is what the timer of a Context and its leader hold, from the first Done on. It never points to its Context.
//
// Until Release it holds the channel. Release must free all that the caller no longer sees, yet wake whoever still
// waits, and a waiter may hold nothing but the channel:
//
//	go func() { <-ctx.Done(); conn.Close() }()
//
// So with Release the link gives its channel to the leader, who closes it at the end and holds it no longer than it takes
// to see that nobody else does, and goes. See hub.go. A link that is followed itself stays, strongly held, until it is not:
// who calls context.AfterFunc(ctx, f) and drops everything is still owed the call. A derived context is such a function, so
// one that is never cancelled stays with the parent until that ends, as under package context.
type link struct {
	parent context.Context
	leader leader // set before the link is seen by others; nil if the parent can never end
	how    end    // set before state becomes ended, and then stands

	state atomic.Uint32 // set with mu held

	mu        sync.Mutex    // may be held when the leader's is taken, never the other way round
	done      chan struct{} // nil once it is the leader's
	timer     *time.Timer   // nil when it need not be stopped
	place     follower      // among those of the leader
	followers followers
	kept      []chan struct{} // of released links below: to be closed at the end
}

// end is how a context ended.
type end struct {
	err      error
	cause    *Cause // nil: none but err, or the parent's
	byLimit  bool
	byParent bool
}

// The states of a link.
const (
	running  uint32 = iota // with its limit, if it has one
	released               // as the parent, from now on
	loose                  // and nobody follows it: the channel is the leader's, and the link has left
	ended
)

// newLink follows the parent, and arms the timer if there is a limit. What is past has ended the link when it returns, as if
// somebody had looked.
func newLink(parent context.Context, limit time.Time, done chan struct{}) *link {
	l := &link{parent: parent, done: done}
	l.place.link = l
	l.follow() // not under mu: a parent that is not of package context may call back at once
	if parent.Err() != nil {
		l.parentEnded()
		return l
	}
	if !limit.IsZero() {
		l.arm(limit)
	}
	return l
}

func (l *link) arm(limit time.Time) {
	left := time.Until(limit)
	if left <= 0 {
		l.limitReached()
		return
	}
	if d, ok := l.parent.Deadline(); ok && !limit.Before(d) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Load() == running {
		l.timer = time.AfterFunc(left, l.limitReached)
	}
}

func (l *link) follow() {
	done := l.parent.Done()
	if done == nil {
		return
	}
	for {
		l.leader = leaderOf(l.parent, done)
		switch l.leader.join(&l.place) {
		case joined:
			return
		case over:
			l.parentEnded()
			return
		case gone: // since we found it
		}
	}
}

// look ends the link if its time has come, and reports whether it has ended. The parent goes first: if nobody looked
// until both were past, then there is a caller who is gone, and a limit that nobody felt.
func (l *link) look(limit time.Time) bool {
	switch s := l.state.Load(); {
	case s == ended:
	case l.parent.Err() != nil:
		l.parentEnded()
	case s == running && past(limit):
		l.limitReached()
	default:
		return l.state.Load() == ended
	}
	return l.state.Load() == ended
}

func (l *link) parentEnded() {
	err := l.parent.Err()
	if err == nil { // it is not of package context, and breaks the rules of one
		err = context.Canceled
	}
	l.end(end{err: err, byParent: true})
}

func (l *link) limitReached() { l.end(expired.how) }

// end is the end, unless there has been one. After Release only the parent can cause it: a timer that has fired but
// not yet got the lock comes too late.
func (l *link) end(how end) {
	if l.tooLate(how) {
		return // without the lock, which would be one for all where the link is one of those of context.go
	}
	l.mu.Lock()
	if l.tooLate(how) {
		l.mu.Unlock()
		return
	}
	wasLoose := l.state.Load() == loose
	l.how = how
	l.state.Store(ended)
	if l.done != nil {
		close(l.done)
	}
	timer, kept, followers := l.timer, l.kept, l.followers.takeAll()
	l.timer, l.kept = nil, nil
	l.mu.Unlock()

	if timer != nil {
		timer.Stop()
	}
	for _, done := range kept {
		close(done)
	}
	switch h, isHub := l.leader.(*hub); {
	case wasLoose && isHub:
		h.finish() // the channel is there; what leads to a link has ended it already, or is about to
	case l.leader != nil && !how.byParent:
		l.leader.leave(&l.place)
	}
	tellAll(followers)
}

// tooLate reports whether the link can no longer be ended in this way. Once true it stays true.
func (l *link) tooLate(how end) bool {
	s := l.state.Load()
	return s == ended || s != running && !how.byParent
}

// await waits for the channel of a link that has ended, which is closed a moment after that is known.
func (l *link) await(done <-chan struct{}) {
	if l.done != nil || l.closing() {
		<-done
	}
}

// closing reports whether the leader closes, or has closed, the channel that it was given. A context between the two that
// breaks the rules of one may have an Err before it has ended, and then nobody does.
func (l *link) closing() bool {
	for {
		switch leader := l.leader.(type) {
		case *link:
			switch leader.state.Load() {
			case running:
				return false
			case ended:
				return true
			}
			l = leader // its own leader has the channel
		default:
			return leader != nil
		}
	}
}

// release stops the limit, and lets go of the channel unless somebody follows.
func (l *link) release() {
	if l.state.Load() != running {
		return // for good; without the lock, as in end
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Load() != running {
		return
	}
	l.state.Store(released)
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.leader == nil {
		l.kept = nil // the parent can never end: nobody holds the link but the Context
		return
	}
	for len(l.kept) > 0 {
		if !l.leader.keep(l.kept[0]) {
			return // it is over, and will tell us
		}
		l.kept = l.kept[1:]
	}
	l.kept = nil
	l.loosen()
}

// loosen gives the channel to the leader when nobody follows a released link any more. mu is held.
func (l *link) loosen() {
	if l.state.Load() == released && l.followers.empty() && l.leader != nil && l.leader.swap(&l.place, l.done) {
		l.state.Store(loose)
		l.done = nil
	}
}

// afterFunc is [Context.AfterFunc]. It returns nil if the link is loose: it has nobody to tell it.
func (l *link) afterFunc(f func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state.Load() {
	case ended:
		go f()
		return func() bool { return false }
	case loose:
		return nil
	}
	place := &follower{f: f}
	l.followers.add(place)
	return func() bool { return l.remove(place) }
}

// remove reports whether it has taken the follower away.
func (l *link) remove(f *follower) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	removed := l.followers.remove(f)
	l.loosen()
	return removed
}
