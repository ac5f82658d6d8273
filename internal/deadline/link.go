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
	kept      *channels // of released links below: to be closed at the end
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
		l.parentEnded(done)
		return l
	}
	if !limit.IsZero() {
		l.arm(limit, done)
	}
	return l
}

func (l *link) arm(limit time.Time, done chan struct{}) {
	left := time.Until(limit)
	if left <= 0 {
		l.limitReached()
		return
	}
	reached := l.limitReached
	if d, ok := l.parent.Deadline(); ok && !limit.Before(d) {
		if d, ok = deadlineForGood(l.parent); ok && !limit.Before(d) {
			return
		}
		reached = func() { l.look(limit, done) } // the parent goes first
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Load() == running {
		l.timer = time.AfterFunc(left, reached)
	}
}

// deadlineForGood is a deadline by which parent ends although each Context above is released, if it is sure that there is one.
// A parent ends no later than what it is below; if it says that it does, something between has let go of the rest, as
// context.WithoutCancel has, and the deadlines above that are not its own.
func deadlineForGood(parent context.Context) (time.Time, bool) {
	d, ok := parent.Deadline()
	for ok {
		c, below := parent.Value(nearest{}).(*Context)
		if !below {
			return d, true
		}
		parent = c.parent
		above, has := parent.Deadline()
		ok = has && !above.Before(d)
		d = above
	}
	return time.Time{}, false
}

func (l *link) follow() {
	done := l.parent.Done()
	if done == nil {
		return
	}
	select {
	case <-done: // no leader then: package context has one channel for all that ended unasked, whatever their bubbles
		l.told()
		return
	default:
	}
	for {
		l.leader = leaderOf(l.parent, done)
		switch l.leader.join(&l.place) {
		case joined:
			return
		case over:
			l.told()
			return
		case gone: // since we found it
		}
	}
}

// look ends the link, whose channel is done, if its time has come, and reports whether it has ended. The parent goes first: if nobody looked
// until both were past, then there is a caller who is gone, and a limit that nobody felt.
func (l *link) look(limit time.Time, done chan struct{}) bool {
	switch s := l.state.Load(); {
	case s == ended:
	case l.parent.Err() != nil:
		l.parentEnded(done)
	case s == running && past(limit):
		l.limitReached()
	default:
		return l.state.Load() == ended
	}
	return l.state.Load() == ended
}

// told is the parent's end, from the leader.
func (l *link) told() { l.end(l.endOfParent()) }

// parentEnded is the parent's end, seen before the leader has told of it, or by a parent that breaks the rules of one: whoever
// shares its channel is not to end with it.
func (l *link) parentEnded(done chan struct{}) { l.endAlone(l.endOfParent(), done) }

func (l *link) endOfParent() end {
	err := l.parent.Err()
	if err == nil { // it is not of package context, and breaks the rules of one
		err = context.Canceled
	}
	return end{err: err, byParent: true}
}

func (l *link) limitReached() { l.cancel(expired.how) }

// cancel is an end that is not the parent's, so that the link is not loose.
func (l *link) cancel(how end) { l.endAlone(how, nil) }

// endAlone is an end that the leader does not know of.
func (l *link) endAlone(how end, done chan struct{}) {
	switch was := l.end(how); {
	case was == ended || l.leader == nil:
	case was != loose:
		l.leader.leave(&l.place)
	case l.leader.withdraw(done):
		close(done)
	}
}

// end is the end, unless there has been one. After Release only the parent can cause it: a timer that has fired but
// not yet got the lock comes too late. It returns the state before; if it was too late, ended.
func (l *link) end(how end) (was uint32) {
	if l.tooLate(how) {
		return ended // without the lock, which would be one for all where the link is one of those of context.go
	}
	l.mu.Lock()
	if l.tooLate(how) {
		l.mu.Unlock()
		return ended
	}
	was = l.state.Load()
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
	if kept != nil {
		kept.close()
	}
	tellAll(followers)
	return was
}

// tooLate reports whether the link can no longer be ended in this way. Once true it stays true.
func (l *link) tooLate(how end) bool {
	s := l.state.Load()
	return s == ended || s != running && !how.byParent
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
		return // the parent can never end: nobody holds the link but the Context
	}
	if l.kept != nil && !l.kept.moveTo(l.leader.keep) {
		return // it is over, and will tell us
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
