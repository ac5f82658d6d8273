package keyed

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what is in a map, and how much.
type Config[K comparable, V any] struct {
	// MaxKeys is how many keys are kept. It must be above zero.
	MaxKeys int
	// IdleAfter is how long a key is kept after its last Get; zero or less: for as long as there is room.
	// Idle keys go at the next insertion, Len or All. It is kept to within a millisecond, or a 64th.
	IdleAfter time.Duration
	// New makes the value of a key. Of several that want the same key at once, one calls New and the others wait for
	// its value; New must not call Get for its own key. A panic reaches the caller whose call it was, and the next
	// who waits calls New again. It may keep the key: of a string that is a part of a larger one it is a copy.
	New func(K) V
	// Evicted is called once for each value that leaves, before the call that caused it returns; nil: nobody cares.
	// No lock is held: it may use the map.
	Evicted func(K, V)
}

// Map is a bounded map. Its methods may be called from many goroutines at once. Make it with [New].
type Map[K comparable, V any] struct {
	cfg   Config[K, V]
	seed  maphash.Seed
	table atomic.Pointer[table[K, V]]
	clock clock
	_     line // what all read is apart from what changes

	mu     sync.Mutex // guards all changes, and what follows
	order  order[K, V]
	making map[K]*making[V]
}

// entry is a key with its value, in the map or on its way out.
type entry[K comparable, V any] struct {
	hash  uint64
	key   K
	used  atomic.Int64 // the stamp of the last Get
	value V
	next  atomic.Pointer[entry[K, V]]
}

// New returns an empty map. It panics if c cannot work: to say so kindly is up to the policy that has the
// user's Config.
func New[K comparable, V any](c Config[K, V]) *Map[K, V] {
	if c.MaxKeys <= 0 || c.New == nil {
		panic("keyed: New needs MaxKeys above zero and a func New")
	}
	m := &Map[K, V]{cfg: c, seed: maphash.MakeSeed(), making: map[K]*making[V]{}}
	m.clock.begin(c.IdleAfter)
	m.table.Store(newTable[K, V](8))
	return m
}

// Get returns the value of k, and makes it if there is none, or if it has been idle for too long. To make room it evicts
// the least recently used one.
func (m *Map[K, V]) Get(k K) V {
	h := maphash.Comparable(m.seed, k)
	if e := m.table.Load().find(h, k); e != nil {
		if !m.idle(e.used.Load(), m.clock.now()) {
			m.clock.touch(&e.used)
			return e.value
		}
	}
	return m.make(h, k)
}

// Peek returns the value of k if there is one that is not idle. It makes nothing and does not count as use.
func (m *Map[K, V]) Peek(k K) (v V, ok bool) {
	h := maphash.Comparable(m.seed, k)
	e := m.table.Load().find(h, k)
	if e == nil {
		// A table that is just growing may hide an entry.
		m.mu.Lock()
		e = m.table.Load().find(h, k)
		m.mu.Unlock()
	}
	if e == nil || m.idle(e.used.Load(), m.clock.read()) {
		return v, false
	}
	return e.value, true
}

// Len returns how many keys there are, after those that are idle have gone.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	gone := m.dropIdleLocked(m.clock.read())
	n := m.order.len()
	m.mu.Unlock()
	m.report(gone)
	return n
}

// All returns the keys and values that are there when the loop begins, those that are idle left out, in no order. It
// does not count as use, and the loop's body may use the map.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		m.mu.Lock()
		gone := m.dropIdleLocked(m.clock.read())
		entries := m.order.entries()
		m.mu.Unlock()
		m.report(gone)
		for _, e := range entries {
			if !yield(e.key, e.value) {
				return
			}
		}
	}
}

// idle reports whether what was last used at used is idle now.
func (m *Map[K, V]) idle(used, now int64) bool {
	return m.cfg.IdleAfter > 0 && now-used > int64(m.cfg.IdleAfter)
}
