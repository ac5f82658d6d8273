package keyed

// order finds the least recently used entry. It is a heap over the stamps that the entries had when the heap last
// looked. A Get changes its entry's stamp and not the heap, so what is recorded is a stamp or an older one, and the top of
// the heap is the least recently used only if its stamp is still the recorded one. If not, it is recorded anew and sinks.
//
// Each Get makes at most one such correction necessary, so an eviction costs O(log n), plus O(log n) for each Get that
// has not been accounted for yet.
type order[K comparable, V any] struct {
	heap []stamped[K, V]
}

type stamped[K comparable, V any] struct {
	stamp int64
	*entry[K, V]
}

func (o *order[K, V]) len() int { return len(o.heap) }

func (o *order[K, V]) add(e *entry[K, V]) {
	o.heap = append(o.heap, stamped[K, V]{e.used.Load(), e})
	for i := len(o.heap) - 1; i > 0; {
		above := (i - 1) / 2
		if o.heap[above].stamp <= o.heap[i].stamp {
			return
		}
		o.heap[above], o.heap[i] = o.heap[i], o.heap[above]
		i = above
	}
}

// correct records the top anew if it was used since, and reports whether it was: then another may be the top now.
func (o *order[K, V]) correct() bool {
	top := &o.heap[0]
	used := top.used.Load()
	// Not !=: of two Gets that overlap, the later stamp may be stored first, recorded, and overwritten by the
	// earlier. To take the entry for younger than it is by the length of a Get does no harm.
	if used <= top.stamp {
		return false
	}
	top.stamp = used
	o.sink()
	return true
}

// removeTop takes the top out of a heap that is not empty.
func (o *order[K, V]) removeTop() *entry[K, V] {
	e, last := o.heap[0].entry, len(o.heap)-1
	o.heap[0] = o.heap[last]
	o.heap[last] = stamped[K, V]{}
	o.heap = o.heap[:last]
	o.sink()
	return e
}

// sink moves the top to where it belongs.
func (o *order[K, V]) sink() {
	h := o.heap
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(h) {
			return
		}
		if right := least + 1; right < len(h) && h[right].stamp < h[least].stamp {
			least = right
		}
		if h[i].stamp <= h[least].stamp {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func (o *order[K, V]) entries() []*entry[K, V] {
	es := make([]*entry[K, V], len(o.heap))
	for i, s := range o.heap {
		es[i] = s.entry
	}
	return es
}
