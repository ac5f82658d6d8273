package deadline

import (
	"context"
	"sync"
)

// A leash is a registration with a parent.
type leash interface {
	stop()   // by the goroutine of one who used the context
	forget() // by the cleanup of package runtime, outside of any bubble: no channel, no timer may be touched
}

// follow arranges for f to be called, in a goroutine of its own, when parent ends. It returns nil if that cannot be.
//
// context.AfterFunc does this without a goroutine for two kinds of parent, those that are a cancelCtx or only add values
// to one, and those with an AfterFunc method. For others it starts a goroutine, which has two faults here: it is one for
// each call, and its stop function closes a channel, which the cleanup of a context in a bubble must not do.
// So we find a Context of ours behind values ourselves, and leave what remains to a hub.
func follow(parent context.Context, f func()) leash {
	done := parent.Done()
	if done == nil {
		return nil
	}
	if c := contextOf(parent, done); c != nil {
		return stopper(c.AfterFunc(f))
	}
	if _, ok := parent.(interface{ AfterFunc(func()) func() bool }); ok || isCancelCtx(parent, done) {
		return stopper(context.AfterFunc(parent, f))
	}
	return followByHub(done, f)
}

type stopper func() bool

func (s stopper) stop()   { s() }
func (s stopper) forget() { s() }

// contextOf returns the Context that parent is, or adds values to: the one with the same channel.
func contextOf(parent context.Context, done <-chan struct{}) *Context {
	for {
		c, ok := parent.Value(nearest{}).(*Context)
		if !ok {
			return nil
		}
		switch l := c.link.Load(); {
		case l == unasked:
			parent = c.parent // whose channel is that of c
		case l != nil && c.done == done:
			return c
		default:
			return nil
		}
	}
}

// isCancelCtx does what parentCancelCtx does in package context.
func isCancelCtx(parent context.Context, done <-chan struct{}) bool {
	if cancelCtxKey == nil {
		return false
	}
	c, ok := parent.Value(cancelCtxKey).(context.Context)
	return ok && c.Done() == done
}

// A hub waits for one foreign Done channel on behalf of all who follow it, in one goroutine. When the last follower
// stops, the goroutine ends. When the last one is collected it cannot be told (it may be in a bubble, where the
// cleanup may not send) and stays until the parent ends: one goroutine for each such channel, not one for each call.
type hub struct {
	done      <-chan struct{}
	quit      chan struct{}
	followers map[*follower]struct{}
}

type follower struct {
	hub *hub
	f   func()
}

// hubs has the hub of each channel. Its mutex guards the hubs too.
var hubs struct {
	sync.Mutex
	of map[<-chan struct{}]*hub
}

func followByHub(done <-chan struct{}, f func()) leash {
	hubs.Lock()
	defer hubs.Unlock()
	h := hubs.of[done]
	if h == nil {
		h = &hub{done: done, quit: make(chan struct{}), followers: map[*follower]struct{}{}}
		if hubs.of == nil {
			hubs.of = map[<-chan struct{}]*hub{}
		}
		hubs.of[done] = h
		go h.wait()
	}
	fo := &follower{h, f}
	h.followers[fo] = struct{}{}
	return fo
}

func (h *hub) wait() {
	select {
	case <-h.quit:
		return
	case <-h.done:
	}
	hubs.Lock()
	if hubs.of[h.done] == h { // the last follower may have stopped at this moment, and another hub begun
		delete(hubs.of, h.done)
	}
	followers := h.followers
	h.followers = nil
	hubs.Unlock()
	for fo := range followers {
		go fo.f()
	}
}

func (fo *follower) stop() {
	h := fo.hub
	hubs.Lock()
	defer hubs.Unlock()
	if _, ok := h.followers[fo]; !ok {
		return // its function was called
	}
	delete(h.followers, fo)
	if len(h.followers) == 0 {
		delete(hubs.of, h.done)
		close(h.quit)
	}
}

func (fo *follower) forget() {
	hubs.Lock()
	defer hubs.Unlock()
	delete(fo.hub.followers, fo)
}
