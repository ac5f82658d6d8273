package deadline

import (
	"context"
	"sync"
)

// A hub is one registration with a parent of another kind, on behalf of all that follow it: it costs once what package
// context would for each, and to join and to leave are a lock and a few pointers.
//
// Until it is clear that there is more than one call under a parent, it is a private one: that of a single link, and gone
// with it. Else each request, which has a parent of its own, would end with a goroutine for a hub that nobody needs.
//
// A hub also keeps the channels of those that were released, as nobody can know who still waits for them. What nobody does is
// found by the garbage collector: after each collection hubs are swept, and a channel that was given since the last one is
// held weakly from then on, so that the next may take it. Under a parent that ends before that, as a request does, nothing
// of it is ever needed.
//
// The sweep runs outside of any synctest bubble, where touching a bubble's channel or timer is fatal. It makes pointers
// weak and looks whether they are nil, and it takes hubs that nobody needs off their parents.
type hub struct {
	done <-chan struct{} // the parent's
	stop func() bool     // takes it off the parent; nil where a goroutine waits instead
	quit chan struct{}   // ends that goroutine

	mu        sync.Mutex // held for a short while: a sweep takes it again and again
	over      bool       // the parent has ended
	retired   bool       // nobody needed it
	private   bool       // not in the table
	used      bool       // since the last sweep
	followers followers
	channels  channels // fresh are those given since the last sweep
}

// newHub registers with a parent, in one of three ways: as package context does below a cancelCtx, and there with the
// cancelCtx itself, lest the values that this parent adds to it live as long; by the parent's own AfterFunc; and else, as
// package context would for each call, by a goroutine.
func newHub(parent context.Context, done <-chan struct{}) *hub {
	parent = whoEnds(parent, done)
	h := &hub{done: done, used: true, private: true}
	if c := cancelCtxOf(parent, done); c != nil {
		h.stop = context.AfterFunc(c, h.finish)
	} else if _, ok := parent.(interface{ AfterFunc(func()) func() bool }); ok {
		h.stop = context.AfterFunc(parent, h.finish)
	} else {
		h.quit = make(chan struct{})
		go h.wait()
	}
	return h
}

// An Ender is a context that has another's end. Its AfterFunc is then that of the other, which for package context may come to
// a goroutine and a channel: not for a sweep to close. A hub registers with the other itself.
type Ender interface{ EndsWith() context.Context }

// whoEnds finds the one whose end a parent has.
func whoEnds(parent context.Context, done <-chan struct{}) context.Context {
	for {
		above := parent
		switch p := parent.(type) {
		case *Context:
			if p.link.Load() != unasked {
				return parent
			}
			above = p.parent
		case Ender:
			above = p.EndsWith()
		default:
			return parent
		}
		if above.Done() != done {
			return parent
		}
		parent = above
	}
}

// cancelCtxOf does what parentCancelCtx does in package context.
func cancelCtxOf(parent context.Context, done <-chan struct{}) context.Context {
	if cancelCtxKey == nil {
		return nil
	}
	if c, ok := parent.Value(cancelCtxKey).(context.Context); ok && c.Done() == done {
		return c
	}
	return nil
}

func (h *hub) wait() {
	select {
	case <-h.quit:
	case <-h.done:
		h.finish()
	}
}

// close takes an unused hub off its parent. Only by a goroutine of one who used it may that be where a goroutine waits,
// which may be in a bubble.
func (h *hub) close() {
	if h.stop != nil {
		h.stop()
	} else {
		close(h.quit)
	}
}

// finish is the parent's end.
func (h *hub) finish() {
	h.mu.Lock()
	if h.over {
		h.mu.Unlock()
		return
	}
	h.over = true
	private, kept, followers := h.private, h.channels, h.followers.takeAll()
	h.channels = channels{}
	h.mu.Unlock()

	if !private {
		hubs.remove(h)
	}
	kept.close()
	tellAll(followers)
}

func (h *hub) join(f *follower) joining {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		return over
	case h.retired:
		return gone
	}
	h.used = true
	h.followers.add(f)
	return joined
}

func (h *hub) leave(f *follower) {
	h.mu.Lock()
	h.followers.remove(f)
	private := h.private && !h.over
	h.retired = h.retired || private
	goroutineForNobody := h.quit != nil && h.emptyLocked()
	h.mu.Unlock()
	if private || goroutineForNobody && hubs.retire(h) {
		h.close()
	}
}

func (h *hub) keep(done chan struct{}) bool { return h.swap(nil, done) }

func (h *hub) swap(f *follower, done chan struct{}) bool {
	h.mu.Lock()
	if h.private && !h.over {
		h.mu.Unlock()
		hubs.publish(h) // it is swept
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	if f != nil {
		h.followers.remove(f)
	}
	h.channels.add(done)
	return true
}

func (h *hub) withdraw(done chan struct{}) bool {
	select {
	case <-h.done:
		h.finish() // its goroutine is on its way
		return false
	default:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels.remove(done)
}

func (h *hub) emptyLocked() bool {
	return h.followers.empty() && h.channels.empty()
}

// sweep drops the channels that the collector has taken, makes those weak that it may take next, and reports whether
// nobody needs the hub: nobody is there, and nobody came since the last sweep. There is one sweep at a time.
func (h *hub) sweep() (idle bool) {
	from, to := 0, 0
	for step := true; step; {
		step = h.dropDead(&from, &to)
	}
	for n := h.freshest(); n > 0; n -= sweepStep {
		h.weaken(min(n, sweepStep))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	idle = h.emptyLocked() && !h.used
	h.used = false
	return idle
}

func (h *hub) dropDead(from, to *int) (more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels.dropDead(from, to)
}

func (h *hub) freshest() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.channels.fresh)
}

func (h *hub) weaken(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.channels.weaken(n)
}
