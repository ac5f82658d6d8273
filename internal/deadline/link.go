package deadline

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
	"weak"
)

// A link is what the parent and the timer of a Context hold, from the first Done on. It never points to its Context.
//
// Until Release it holds the channel. Release must free all that the caller no longer sees, yet wake whoever still
// waits, and a waiter may hold nothing but the channel:
//
//	go func() { <-ctx.Done(); conn.Close() }()
//
// So after Release the link holds the channel weakly, and the death of the channel, not that of the Context, takes the
// link off the parent. Why that is sound:
//
//   - The Context holds the channel, so the channel lives at least as long.
//   - A goroutine that waits on the channel keeps it alive: its stack and its sudog point to it. (The garbage
//     collector's search for leaked goroutines, an experiment of Go 1.26, is another matter: it takes such a waiter for
//     leaked and reports it. It does not free anything of it.)
//   - A channel is one heap object, always: makechan allocates it, escape analysis has no say, and at 100 bytes it
//     shares its slot with nobody, which a cleanup could not bear. A chan value is the pointer to it; package reflect
//     promises as much.
//   - Functions that were registered with AfterFunc are held strongly, until they are stopped or called. It cannot be
//     otherwise: who calls context.AfterFunc(ctx, f) and drops everything is still owed the call. A derived context is
//     such a function, so one that is never cancelled stays with the parent until that ends, as under package context.
//   - The cleanup runs outside of any synctest bubble, where touching a bubble's channel or timer is fatal. It takes
//     the link off the parent and touches nothing else.
type link struct {
	parent context.Context
	how    end // set before state becomes ended, and then stands

	state atomic.Uint32 // set with mu held

	mu       sync.Mutex
	dead     bool               // the channel was collected
	done     chan struct{}      // nil after release, if the parent can end
	weakDone weak.Pointer[byte] // instead
	timer    *time.Timer        // nil when it need not be stopped
	leash    leash              // to the parent
	waiters  waiters            // the functions of AfterFunc
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
	ended
)

// start registers with the parent and arms the timer, if there is a limit. The link may have ended when it returns.
func (l *link) start(limit time.Time) {
	// Not under mu: a parent that is not of package context may call back at once.
	leash := follow(l.parent, l.parentEnded)
	l.mu.Lock()
	if l.state.Load() == running {
		l.leash = leash
		if d, ok := l.parent.Deadline(); !limit.IsZero() && (!ok || limit.Before(d)) {
			l.timer = time.AfterFunc(time.Until(limit), l.limitReached)
		}
	}
	l.mu.Unlock()
}

// look ends the link if its time has come, and reports whether it has ended. The parent goes first: if nobody looked
// until both were past, then there is a caller who is gone, and a limit that nobody felt.
func (l *link) look(limit time.Time) bool {
	if l.lookUp() {
		return true
	}
	if l.state.Load() == running && past(limit) {
		l.limitReached()
	}
	return l.state.Load() == ended
}

// lookUp ends the link if the parent has ended, and reports whether the link has ended.
func (l *link) lookUp() bool {
	if l.state.Load() != ended && l.parent.Err() != nil {
		l.parentEnded()
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
	l.how = how
	l.state.Store(ended)
	if done := l.channel(); done != nil {
		close(done)
	}
	timer, leash, waiters := l.timer, l.leash, l.waiters.takeAll()
	l.timer, l.leash = nil, nil
	l.mu.Unlock()

	if timer != nil {
		timer.Stop()
	}
	if leash != nil && !how.byParent {
		leash.stop()
	}
	startAll(waiters)
}

// tooLate reports whether the link can no longer be ended in this way. Once true it stays true.
func (l *link) tooLate(how end) bool {
	s := l.state.Load()
	return s == ended || s == released && !how.byParent
}

// release stops the limit and loosens the hold on the channel.
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
	if l.leash == nil {
		return // the parent can never end: nobody holds the link but the Context
	}
	p := (*byte)(reflect.ValueOf(l.done).UnsafePointer())
	l.weakDone, l.done = weak.Make(p), nil
	// The cleanup's argument is a root for the collector, and the link may hold functions that hold the Context and so
	// the channel. Held strongly it would keep the channel, and itself, for ever, even when the parent is gone.
	runtime.AddCleanup(p, channelDied, weak.Make(l))
}

// channel returns the channel, or nil if it was collected. mu is held.
func (l *link) channel() chan struct{} {
	if l.done != nil {
		return l.done
	}
	p := unsafe.Pointer(l.weakDone.Value())
	return *(*chan struct{})(unsafe.Pointer(&p))
}

// channelDied runs in the runtime's cleanup goroutine.
func channelDied(w weak.Pointer[link]) {
	l := w.Value()
	if l == nil {
		return // the parent went with it
	}
	l.mu.Lock()
	l.dead = true
	leash := l.looseLocked()
	l.mu.Unlock()
	if leash != nil {
		leash.forget()
	}
}

// looseLocked returns the leash, once, when nobody is left to be told of the parent's end.
func (l *link) looseLocked() leash {
	if !l.dead || !l.waiters.empty() {
		return nil
	}
	leash := l.leash
	l.leash = nil
	return leash
}
