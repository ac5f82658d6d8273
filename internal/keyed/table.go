package keyed

import "sync/atomic"

// table is a hash table that is read without a lock. All changes are made under the map's mutex, and each is one store
// of a pointer, so a reader always sees chains that end.
//
// When the table grows its entries are linked anew, in place. A reader of the old table may then be led from one chain
// into another and miss its key; so a miss means nothing until it is repeated under the mutex. It does not run in
// circles: an entry that is linked anew points only to entries that were linked anew before it.
//
// An entry that was taken out keeps its pointer, for the readers who stand on it, and is never put back.
type table[K comparable, V any] struct {
	mask    uint64
	buckets []atomic.Pointer[entry[K, V]]
}

// newTable makes a table with n buckets, a power of two.
func newTable[K comparable, V any](n int) *table[K, V] {
	return &table[K, V]{mask: uint64(n - 1), buckets: make([]atomic.Pointer[entry[K, V]], n)}
}

func (t *table[K, V]) find(hash uint64, k K) *entry[K, V] {
	for e := t.buckets[hash&t.mask].Load(); e != nil; e = e.next.Load() {
		if e.hash == hash && e.key == k {
			return e
		}
	}
	return nil
}

func (t *table[K, V]) insert(e *entry[K, V]) {
	b := &t.buckets[e.hash&t.mask]
	e.next.Store(b.Load())
	b.Store(e)
}

func (t *table[K, V]) remove(e *entry[K, V]) {
	link := &t.buckets[e.hash&t.mask]
	for link.Load() != e {
		link = &link.Load().next
	}
	link.Store(e.next.Load())
}

// grown returns a table of twice the size with the same entries, when there are n, more than this one has room for. It is
// t itself if there is room.
func (t *table[K, V]) grown(n int) *table[K, V] {
	if n <= len(t.buckets) {
		return t
	}
	g := newTable[K, V](2 * len(t.buckets))
	for i := range t.buckets {
		for e := t.buckets[i].Load(); e != nil; {
			next := e.next.Load()
			g.insert(e)
			e = next
		}
	}
	return g
}
