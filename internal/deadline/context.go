package deadline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Context is an attempt's context: the caller's, with a time limit and an end of its own. Make it with [New]. Its
// methods may be called from many goroutines at once.
type Context struct {
	parent context.Context
	limit  time.Time // zero: none

	// link is nil while nobody has asked for Done and nothing has happened. It is set once, under mu, and to one of
	// the three links below where something happened before anybody asked for Done.
	link atomic.Pointer[link]
	mu   sync.Mutex
	// done is set before link is, and never again, so who has seen link may read it. It is nil if link is unasked.
	done chan struct{}
}

// What happened to a context before its Done was asked for. These links are never registered with anybody.
var (
	unasked  = settled(released, end{})                                          // Release: from now on it is its parent
	canceled = settled(ended, end{err: context.Canceled})                        // Cancel
	expired  = settled(ended, end{err: context.DeadlineExceeded, byLimit: true}) // the limit
)

func settled(state uint32, how end) *link {
	l := &link{how: how}
	l.state.Store(state)
	return l
}

// closed is the Done channel of what has ended before it was asked for.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// New returns a context that ends with parent, or at the limit, whichever is first. If both are past when somebody
// first looks, it ended with parent. If the limit is not before the parent's own deadline, the parent is trusted to
// end by then, as package context does; unless it is below another Context, which may be released.
//
// The zero time is no limit: then no timer is armed and no clock is read. Somebody has to call Release or Cancel, or the
// parent keeps what Done has made until its own end.
func New(parent context.Context, limit time.Time) *Context {
	if parent == nil {
		panic("deadline: New with a nil parent")
	}
	return &Context{parent: parent, limit: limit}
}

// Deadline returns the earlier of the parent's deadline and the limit; after Release, and without a limit, the parent's.
func (c *Context) Deadline() (time.Time, bool) {
	d, ok := c.parent.Deadline()
	if c.limit.IsZero() {
		return d, ok
	}
	if l := c.link.Load(); l != nil {
		if s := l.state.Load(); s == released || s == loose {
			return d, ok
		}
	}
	if ok && d.Before(c.limit) {
		return d, true
	}
	return c.limit, true
}

// Done returns the channel that is closed at the end. The first call makes it, arms the timer and registers with the
// parent. It may be nil after Release, if the parent can never end.
func (c *Context) Done() <-chan struct{} {
	l := c.link.Load()
	if l == nil {
		l = c.arm()
		if l.state.Load() == running {
			return c.done // it has just looked
		}
	}
	if l == unasked {
		return c.parent.Done()
	}
	// The end may be on its way to the link, in a goroutine of the timer's or the parent's. Who ends the parent and
	// then polls this channel should not have to know.
	if l.look(c.limit, c.done) {
		<-c.done // as in Err
	}
	return c.done
}

// Err returns nil until the end, and then why: [context.DeadlineExceeded] at the limit, [context.Canceled] after
// Cancel, and the parent's error otherwise. When it is not nil, Done is closed.
func (c *Context) Err() error {
	l := c.link.Load()
	if l == nil {
		switch err := c.parent.Err(); {
		case err != nil:
			// Not only returned: another goroutine may be about to say that it was the limit, and all must hear the same.
			l = c.settle(settled(ended, end{err: err, byParent: true}))
		case past(c.limit):
			l = c.settle(expired)
		default:
			return nil
		}
	}
	if l == unasked {
		return c.parent.Err()
	}
	if !l.look(c.limit, c.done) {
		return nil
	}
	<-c.done // the error is there a moment before the channel is closed
	return l.how.err
}

// Value returns what the parent has for key.
func (c *Context) Value(key any) any {
	if _, ok := key.(nearest); ok {
		return c
	}
	if key == cancelCtxKey {
		if l := c.link.Load(); l != nil && l.state.Load() == ended && !l.how.byParent {
			return l.how.cause.value() // see causekey.go
		}
	}
	return c.parent.Value(key)
}

// Release says that the attempt succeeded: the limit stops, the context does not end, and goes on following the
// parent, also for those who hold only its channel. After the end, or a second time, it does nothing.
//
// A context that package context made below this one, with a deadline after the limit, has no timer of its own: it has trusted
// the limit, and ends with the parent too.
func (c *Context) Release() {
	l := c.link.Load()
	if l == nil {
		l = c.settle(unasked)
	}
	l.release()
}

// Cancel says that the attempt failed and that its result is thrown away: it ends the context with [context.Canceled]
// and frees what it holds. After the end, and after Release, it does nothing, so it may be deferred.
func (c *Context) Cancel() { c.cancel(canceled) }

// End is Cancel.
func (c *Context) End() { c.Cancel() }

// CancelCause is Cancel with a cause, that [context.Cause] reports for the context and for those derived from it. If
// cause is nil, it is Cancel.
func (c *Context) CancelCause(cause *Cause) {
	if cause == nil {
		c.cancel(canceled)
		return
	}
	c.cancel(cause.settled)
}

// cancel ends the context as the link says, which also stands for it if nobody has asked for Done.
func (c *Context) cancel(as *link) {
	if c.Err() != nil {
		return // the parent's end, and the limit, seen by nobody until now, come first: Expired stays true
	}
	l := c.link.Load()
	if l == nil {
		l = c.settle(as)
	}
	l.cancel(as.how)
}

// Expired reports whether the context ended at its own limit: not with the parent, and not by Cancel.
func (c *Context) Expired() bool {
	if c.Err() == nil {
		return false
	}
	l := c.link.Load()
	return l != nil && l.how.byLimit
}

// AfterFunc arranges for f to be called in its own goroutine at the end, as [context.AfterFunc] describes. Package
// context calls it for the contexts derived from this one, which therefore cost no goroutine.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	l := c.link.Load()
	if l == nil {
		l = c.arm()
	}
	if l == unasked {
		return afterFunc(c.parent, f)
	}
	if stop = l.afterFunc(f); stop != nil {
		return stop
	}
	done := c.done
	return afterFunc(c.parent, func() {
		l.parentEnded(done)
		<-done
		f()
	})
}

// String is for package fmt, which would otherwise read the fields while others write them.
func (c *Context) String() string {
	if c.limit.IsZero() {
		return nameOf(c.parent) + ".WithLimit(none)"
	}
	return fmt.Sprintf("%s.WithLimit(%s)", nameOf(c.parent), c.limit)
}

func nameOf(parent context.Context) string {
	if _, ok := parent.(fmt.Stringer); ok {
		return fmt.Sprint(parent)
	}
	return fmt.Sprintf("%T", parent)
}

// past reports whether it is time for the limit. Without one it costs no look at the clock.
func past(limit time.Time) bool { return !limit.IsZero() && time.Until(limit) <= 0 }

// settle records what happened before anybody asked for Done, unless something else has happened meanwhile. It
// returns the link that stands.
func (c *Context) settle(what *link) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.link.Load(); l != nil {
		return l
	}
	if what != unasked {
		c.done = closed
	}
	c.link.Store(what)
	return what
}

// arm makes the channel and the link, unless somebody else has.
func (c *Context) arm() *link {
	c.mu.Lock()
	defer c.mu.Unlock() // also when the parent's code panics
	if l := c.link.Load(); l != nil {
		return l
	}
	done := make(chan struct{})
	l := newLink(c.parent, c.limit, done)
	c.done = done
	c.link.Store(l)
	return l
}
