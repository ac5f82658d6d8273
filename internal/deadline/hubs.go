package deadline

import (
	"context"
	"runtime"
	"slices"
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
	mu    sync.Mutex
	of    map[<-chan struct{}]entry
	other []entry // of the same channels: they were private ones

	// What was opened last, and how many times in a row. It is an address, and no more than a hint.
	last  uintptr
	times int
	_     [8]byte // to a cache line
}

// familiar is how many times in a row a parent comes, each time when nobody else is there, before its hub stays.
const familiar = 4

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

func (e entry) weakened() entry {
	if e.strong == nil {
		return e
	}
	return entry{weak: weak.Make(e.strong)}
}

func address(done <-chan struct{}) uintptr { return *(*uintptr)(unsafe.Pointer(&done)) }

func (t *table) shard(done <-chan struct{}) *shard {
	return &t.shards[uint64(address(done))*0x9e3779b97f4a7c15>>58] // Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4
}

func (t *table) find(done <-chan struct{}) *hub {
	s := t.shard(done)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[done].hub()
}

// open makes a hub for a parent. Where a goroutine has to wait, and where the parent comes again and again, it is for all.
func (t *table) open(parent context.Context, done <-chan struct{}) *hub {
	h := newHub(parent, done) // the parent's code runs under no lock
	s := t.shard(done)
	s.mu.Lock()
	if s.last != address(done) {
		s.last, s.times = address(done), 0
	}
	if s.times++; h.quit == nil && s.times < familiar {
		s.mu.Unlock()
		return h
	}
	if other := s.of[done].hub(); other != nil { // of somebody who was here at the same time
		s.mu.Unlock()
		h.close()
		return other
	}
	s.add(h)
	s.mu.Unlock()
	t.watch()
	return h
}

// publish makes a private hub one for all.
func (t *table) publish(h *hub) {
	s := t.shard(h.done)
	s.mu.Lock()
	s.add(h)
	s.mu.Unlock()
	t.watch()
}

// add takes a private hub in, unless its parent has ended.
func (s *shard) add(h *hub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || !h.private {
		return
	}
	h.private = false
	if s.of[h.done].hub() != nil {
		s.other = append(s.other, entry{strong: h})
		return
	}
	if s.of == nil {
		s.of = make(map[<-chan struct{}]entry)
	}
	s.of[h.done] = entry{strong: h}
}

func (s *shard) remove(h *hub) {
	if s.of[h.done].hub() == h {
		delete(s.of, h.done)
		return
	}
	s.other = slices.DeleteFunc(s.other, func(e entry) bool { return e.hub() == h })
}

// remove takes a hub out whose parent has ended.
func (t *table) remove(h *hub) {
	s := t.shard(h.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(h)
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
	s.remove(h)
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
	all := make([]*hub, 0, len(s.of)+len(s.other))
	for done, e := range s.of {
		if h := e.hub(); h != nil {
			s.of[done] = e.weakened()
			all = append(all, h)
		} else {
			delete(s.of, done)
		}
	}
	s.other = slices.DeleteFunc(s.other, func(e entry) bool { return e.hub() == nil })
	for i, e := range s.other {
		s.other[i] = e.weakened()
		all = append(all, e.hub())
	}
	return all
}

func (s *shard) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.of)+len(s.other) == 0
}
