package deadline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Bounded is a [Context] for who is sure to end it, as a Transport is with the body of its response: it cannot be released.
// So from the first Done on it is a context of package context's below the same parent, and what is derived from it has that
// for its parent: over a connection net/http derives one from every request's. Its methods may be called from many
// goroutines at once.
type Bounded struct {
	parent context.Context
	limit  time.Time

	state  atomic.Uint32 // set with mu held, once
	mu     sync.Mutex
	std    context.Context // set before state is
	cancel context.CancelFunc
}

// Limited is what a [Context] and a [Bounded] are for who makes attempts.
type Limited interface {
	context.Context
	Release()
	Cancel()
	Expired() bool
	End() // Cancel, as the end of a body calls it
}

// The states of a Bounded.
const (
	quiet  uint32 = iota // nobody has asked for Done, and nothing has happened
	armed                // it is what std is
	undone               // cancelled when it was quiet: std is one that was cancelled, and has nothing else of it
)

// unasking is what a Bounded is that was cancelled before its Done was asked for.
var unasking = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// NewBounded returns a context that ends with parent, or at the limit, whichever is first. Somebody has to call Cancel.
func NewBounded(parent context.Context, limit time.Time) *Bounded {
	return &Bounded{parent: parent, limit: limit}
}

// Deadline returns the earlier of the parent's deadline and the limit.
func (b *Bounded) Deadline() (time.Time, bool) {
	if d, ok := b.parent.Deadline(); ok && d.Before(b.limit) {
		return d, true
	}
	return b.limit, true
}

// Done returns the channel that is closed at the end. The first call arms the timer and registers with the parent.
func (b *Bounded) Done() <-chan struct{} { return b.arm().Done() }

// Err returns nil until the end, and then why, as [Context.Err] does. Once Done was asked for, the end is when the timer says so.
func (b *Bounded) Err() error {
	if b.state.Load() == quiet && b.parent.Err() == nil && !past(b.limit) {
		return nil
	}
	return b.arm().Err() // all are to hear the same from now on
}

// Value returns what the parent has for key.
func (b *Bounded) Value(key any) any {
	switch b.state.Load() {
	case armed:
		return b.std.Value(key) // which is its own for package context
	case undone:
		if key == cancelCtxKey && key != nil {
			return b.std.Value(key) // no cause but its own: see causekey.go
		}
	}
	return b.parent.Value(key)
}

// Cancel ends the context with [context.Canceled] and frees what it holds. After the end it does nothing.
func (b *Bounded) Cancel() {
	if b.Err() == nil && b.undo() {
		return
	}
	b.arm()
	b.cancel()
}

// End is Cancel.
func (b *Bounded) End() { b.Cancel() }

// undo reports whether nothing had been armed, and nothing will.
func (b *Bounded) undo() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Load() != quiet {
		return false
	}
	b.std, b.cancel = unasking, func() {}
	b.state.Store(undone)
	return true
}

// Expired reports whether the context ended at its own limit: not with the parent, and not by Cancel.
func (b *Bounded) Expired() bool {
	if b.Err() != context.DeadlineExceeded {
		return false
	}
	d, ok := b.parent.Deadline()
	return !ok || b.limit.Before(d)
}

// Release is for who has a Bounded where a [Context] could be. The limit goes on.
func (b *Bounded) Release() {}

// String is for package fmt, which would otherwise read the fields while others write them.
func (b *Bounded) String() string { return fmt.Sprintf("%s.WithLimit(%s)", nameOf(b.parent), b.limit) }

func (b *Bounded) arm() context.Context {
	if b.state.Load() == quiet {
		b.armSlowly()
	}
	return b.std
}

func (b *Bounded) armSlowly() {
	b.mu.Lock()
	defer b.mu.Unlock() // also when the parent's code panics
	if b.state.Load() != quiet {
		return
	}
	parent := b.parent
	if _, ok := parent.Value(nearest{}).(*Context); ok {
		parent = belowOurs{parent}
	}
	b.std, b.cancel = context.WithDeadline(parent, b.limit)
	b.state.Store(armed)
}

// belowOurs is a parent with a Context somewhere above it, for package context: that would trust in a deadline that is gone when
// the Context is released, and start a goroutine if there are values between.
type belowOurs struct{ context.Context }

func (b belowOurs) Deadline() (time.Time, bool) { return deadlineForGood(b.Context) }

func (b belowOurs) AfterFunc(f func()) func() bool { return afterFunc(b.Context, f) }
