package deadline

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"
)

// hubs has the hub of each Done channel that somebody follows.
var hubs table

// table is spread over shards, for the sake of many cores. A shard's mutex may be held when a hub's is taken, never the
// other way round.
type table struct {
	shards  [64]shard
	watched atomic.Bool // a sentinel is out
}

type shard struct {
	mu sync.Mutex
	of map[<-chan struct{}]entry
	_  [48]byte // to a cache line
}

// entry has a hub strongly until the next sweep, and weakly from then on: the parent has it, and when both are garbage
// the table is not to be what keeps them. Most parents end before, and are spared a weak pointer.
type entry struct {
	strong *hub
	weak   weak.Pointer[hub]
}

func (e entry) hub() *hub {
	if e.strong != nil {
		return e.strong
	}
	return e.weak.Value()
}

func (t *table) shard(done <-chan struct{}) *shard {
	address := uint64(*(*uintptr)(unsafe.Pointer(&done)))
	return &t.shards[address*0x9e3779b97f4a7c15>>58] // Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4
}

func (t *table) find(done <-chan struct{}) *hub {
	s := t.shard(done)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[done].hub()
}

// open makes the hub of a parent, unless somebody else has meanwhile. The parent's code runs under no lock.
func (t *table) open(parent context.Context, done <-chan struct{}) *hub {
	h := newHub(parent, done)
	s := t.shard(done)
	s.mu.Lock()
	if other := s.of[done].hub(); other != nil {
		s.mu.Unlock()
		h.close()
		return other
	}
	if s.of == nil {
		s.of = make(map[<-chan struct{}]entry)
	}
	s.of[done] = entry{strong: h}
	s.mu.Unlock()
	t.watch()
	return h
}

// remove takes a hub out whose parent has ended.
func (t *table) remove(h *hub) {
	s := t.shard(h.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[h.done].hub() == h {
		delete(s.of, h.done)
	}
}

// retire takes a hub out that nobody needs. It reports whether that hub is still to be closed: not if somebody needs it
// after all, nor if the parent has ended, or somebody else has retired it.
func (t *table) retire(h *hub) bool {
	s := t.shard(h.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.emptyLocked() {
		return false
	}
	if s.of[h.done].hub() == h {
		delete(s.of, h.done)
	}
	first := !h.over && !h.retired
	h.retired = true
	return first
}

// sentinel is an object that nobody holds: when the collector has taken it, there has been a collection.
type sentinel struct{ _ [2]*sentinel }

// watch sees to it that the next collection is followed by a sweep.
func (t *table) watch() {
	if !t.watched.Load() && t.watched.CompareAndSwap(false, true) {
		runtime.AddCleanup(new(sentinel), (*table).collected, t)
	}
}

// collected runs in a goroutine of the runtime's, after a collection, as long as there are hubs.
func (t *table) collected() {
	for i := range t.shards {
		for _, h := range t.shards[i].hubs() {
			if h.sweep() && h.stop != nil && t.retire(h) {
				h.close()
			}
		}
	}
	t.watched.Store(false)
	for i := range t.shards {
		if !t.shards[i].empty() {
			t.watch()
			return
		}
	}
}

// hubs returns those of a shard, which are held weakly from now on, and drops what the collector has taken.
func (s *shard) hubs() []*hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*hub, 0, len(s.of))
	for done, e := range s.of {
		h := e.hub()
		if h == nil {
			delete(s.of, done)
			continue
		}
		if e.strong != nil {
			s.of[done] = entry{weak: weak.Make(h)}
		}
		all = append(all, h)
	}
	return all
}

func (s *shard) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.of) == 0
}
