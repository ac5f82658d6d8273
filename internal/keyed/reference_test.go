package keyed_test

import "time"

// reference is the plain LRU that the map is compared with: keys in the order of their use, oldest first.
type reference struct {
	max  int
	idle time.Duration
	now  time.Duration
	keys []int
	used map[int]time.Duration
	gen  map[int]int // which value of the key is the live one
	made map[int]int // how many were made of each key
	gone []evicted
}

// value is what the map under test and the reference make: the nth of its key.
type value struct{ key, nth int }

type evicted struct {
	key int
	value
}

func newReference(maxKeys int, idle time.Duration) *reference {
	return &reference{max: maxKeys, idle: idle, used: map[int]time.Duration{}, gen: map[int]int{}, made: map[int]int{}}
}

func (r *reference) get(k int) value {
	if _, ok := r.peek(k); !ok {
		r.dropIdle()
		if len(r.keys) == r.max {
			r.drop(r.keys[0])
		}
		r.made[k]++
		r.gen[k] = r.made[k]
	}
	r.remove(k)
	r.keys = append(r.keys, k)
	r.used[k] = r.now
	return value{k, r.gen[k]}
}

func (r *reference) peek(k int) (value, bool) {
	if n, ok := r.gen[k]; ok && r.now-r.used[k] <= r.idle {
		return value{k, n}, true
	}
	return value{}, false
}

func (r *reference) dropIdle() {
	for len(r.keys) > 0 && r.now-r.used[r.keys[0]] > r.idle {
		r.drop(r.keys[0])
	}
}

func (r *reference) drop(k int) {
	r.gone = append(r.gone, evicted{k, value{k, r.gen[k]}})
	r.remove(k)
	delete(r.gen, k)
	delete(r.used, k)
}

func (r *reference) remove(k int) {
	for i, key := range r.keys {
		if key == k {
			r.keys = append(r.keys[:i], r.keys[i+1:]...)
			return
		}
	}
}
