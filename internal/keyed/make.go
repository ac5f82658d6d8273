package keyed

import "strings"

// making is a call of New that has not returned. Others who want the key wait for it.
type making[V any] struct {
	done  chan struct{} // a channel, so that waiting is idle in a synctest bubble
	value V             // set before done is closed
	made  bool          // false: New panicked
}

// make is Get where there may be no entry for k, or an idle one.
func (m *Map[K, V]) make(h uint64, k K) V {
	if equal := k; equal != k {
		v := m.cfg.New(k)
		if m.cfg.Evicted != nil {
			m.cfg.Evicted(k, v)
		}
		return v
	}
	for {
		m.mu.Lock()
		if gone := m.dropIdleLocked(m.clock.read()); len(gone) > 0 {
			// They are reported before a successor is made: what goes by a name is gone from there when what
			// comes takes the name.
			m.mu.Unlock()
			m.report(gone)
			continue
		}
		if e := m.table.Load().find(h, k); e != nil {
			e.used.Store(m.clock.stamp())
			m.mu.Unlock()
			return e.value
		}
		if other := m.making[k]; other != nil {
			m.mu.Unlock()
			<-other.done
			if other.made {
				return other.value
			}
			continue
		}
		mine := &making[V]{done: make(chan struct{})}
		m.making[k] = mine
		m.mu.Unlock()
		return m.fill(h, k, mine)
	}
}

// fill calls New and puts what it makes into the map.
func (m *Map[K, V]) fill(h uint64, k K, mine *making[V]) V {
	defer func() {
		if !mine.made { // a panic, or runtime.Goexit
			m.mu.Lock()
			delete(m.making, k)
			m.mu.Unlock()
			close(mine.done)
		}
	}()
	k = owned(k)
	v := m.cfg.New(k)

	m.mu.Lock()
	gone := m.evictLocked(m.cfg.MaxKeys - 1)
	m.insertLocked(&entry[K, V]{key: k, value: v, hash: h})
	delete(m.making, k)
	m.mu.Unlock()
	mine.value, mine.made = v, true
	close(mine.done)
	m.report(gone)
	return v
}

func (m *Map[K, V]) insertLocked(e *entry[K, V]) {
	e.used.Store(m.clock.stamp())
	t := m.table.Load().grown(m.order.len() + 1)
	t.insert(e)
	m.table.Store(t)
	m.order.add(e)
}

// evictLocked takes out the least recently used entries until no more than n are left.
func (m *Map[K, V]) evictLocked(n int) (gone []*entry[K, V]) {
	for m.order.len() > n {
		if !m.order.correct() {
			gone = append(gone, m.removeTopLocked())
		}
	}
	return gone
}

// dropIdleLocked takes out the entries that are idle.
func (m *Map[K, V]) dropIdleLocked(now int64) (gone []*entry[K, V]) {
	// No stamp is older than what is recorded of it, so when the top is not idle, nothing is.
	for m.order.len() > 0 && m.idle(m.order.heap[0].stamp, now) {
		if !m.order.correct() {
			gone = append(gone, m.removeTopLocked())
		}
	}
	return gone
}

func (m *Map[K, V]) removeTopLocked() *entry[K, V] {
	e := m.order.removeTop()
	m.table.Load().remove(e)
	return e
}

// report tells of each entry that is gone, also of those after one at which Evicted panics.
func (m *Map[K, V]) report(gone []*entry[K, V]) {
	if m.cfg.Evicted == nil || len(gone) == 0 {
		return
	}
	told := 0
	defer func() {
		if told < len(gone) {
			m.report(gone[told+1:])
		}
	}()
	for ; told < len(gone); told++ {
		m.cfg.Evicted(gone[told].key, gone[told].value)
	}
}

// owned is a key to be kept: a string that is a part of a larger one, a host in a URL, would keep all of that.
func owned[K comparable](k K) K {
	if s, ok := any(k).(string); ok {
		return any(strings.Clone(s)).(K)
	}
	return k
}
