package holdfast

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// cell has a stack whose policies may be others tomorrow: what a [Registry] hands out stands for what is in the cell at the
// time of each call.
type cell struct {
	now     atomic.Pointer[Stack]
	reload  *sync.Mutex // held while another stack is chosen and put here
	handles bool        // it is around a handler, so that it must never repeat anything; guarded by reload
}

// current is the stack itself; that in the cell, if it is live.
func (s *Stack) current() *Stack {
	if s == nil || s.live == nil {
		return s
	}
	return s.live.now.Load()
}

// flat is the stack as it is now, with the policies of live stacks in it in their places: to look at, not to call.
func (s *Stack) flat() *Stack {
	s = s.current()
	if s == nil {
		return nil
	}
	for i := range s.layers {
		if s.layers[i].kind == ofLive {
			return s.flattened()
		}
	}
	return s
}

func (s *Stack) flattened() *Stack {
	one := *s
	one.layers = nil
	for _, l := range s.layers {
		if l.kind == ofLive {
			one.layers = append(one.layers, l.live.flat().layers...)
			continue
		}
		one.layers = append(one.layers, l)
	}
	return &one
}

// liveTransport is the Transport of a live stack: made anew when there are other policies, or the same in another order.
type liveTransport struct {
	httpx.Over
	stack *Stack
	made  atomic.Pointer[madeTransport]
}

type madeTransport struct {
	of *Stack
	http.RoundTripper
}

func (t *liveTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	s := t.stack.current()
	m := t.made.Load()
	if m == nil || m.of != s {
		m = &madeTransport{s, s.Transport(t.Below)}
		t.made.Store(m) // that of another goroutine is as good
	}
	return m.RoundTrip(req)
}

// liveHandler is the Handler of a live stack, made anew likewise.
type liveHandler struct {
	stack *Stack
	next  http.Handler
	made  atomic.Pointer[madeHandler]
}

type madeHandler struct {
	of *Stack
	http.Handler
}

func newLiveHandler(s *Stack, next http.Handler) *liveHandler {
	s.live.reload.Lock()
	defer s.live.reload.Unlock()
	h := &liveHandler{stack: s, next: next}
	h.at(s.current()) // panics now, not at the first request
	s.live.handles = true
	return h
}

func (h *liveHandler) at(s *Stack) *madeHandler {
	m := h.made.Load()
	if m == nil || m.of != s {
		m = &madeHandler{s, s.Handler(h.next)}
		h.made.Store(m)
	}
	return m
}

func (h *liveHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.at(h.stack.current()).ServeHTTP(w, r)
}
