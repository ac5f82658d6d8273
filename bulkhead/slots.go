package bulkhead

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// slots are the places. While enough are free, a call takes one and gives it back with one atomic operation each, on a
// cache line that is most likely its core's own: no lock, and no line that cores pass to and fro. When somebody finds no
// slot the mode changes, and from then on they go from hand to hand under the bulkhead's mutex, until enough are free
// again. The rules that make this exact:
//
//   - Who changes the mode does so under the mutex, from open first, and then withholds all slots that are free.
//   - Who frees a slot looks at the mode before and after. If it is not open any more the slot may have been overlooked:
//     he takes the mutex and sees to it.
//
// So a call is refused only if at some moment every place was taken, by a call that had not yet returned.
type slots struct {
	mode    atomic.Uint32
	table   atomic.Pointer[table]
	retired atomic.Uint64 // uses of slots that are gone
}

// The modes. In all but open the mutex is needed.
const (
	open    = iota
	few     // some may be free
	full    // none is free, and nobody waits
	waiting // somebody waits
)

// slot is one place. Its word counts its uses above the state; so a permit that knows the word it was given can be
// given back only once: later the slot is free, or in another use.
type slot struct {
	word atomic.Uint64
	b    *Bulkhead
	_    [64 - 16]byte // one a cache line
}

// The states of a slot.
const (
	free     = iota
	taken    // by a call
	withheld // under the mutex, in spare; or on its way there in the hands of one who gives it back

	stateMask = 3
	use       = 4 // one, in a word
)

// table has all slots there are. Their number is a power of two, it may be above the limit, and below it until they are
// wanted.
type table struct {
	slots []*slot
	shift uint // of a hash, to an index
	tight bool // fewer than the limit allows and than it takes for two goroutines seldom to share one
}

// roomy is how many slots it takes for two goroutines seldom to look for one in the same place.
const roomy = 64

func (b *Bulkhead) newTable(old []*slot, n int) *table {
	t := &table{slots: make([]*slot, n), shift: uint(64 - bits.TrailingZeros(uint(n))), tight: n < min(b.limit, roomy)}
	fresh := make([]slot, n-copy(t.slots, old))
	for i := range fresh {
		fresh[i].b = b
		fresh[i].word.Store(withheld)
		t.slots[len(old)+i] = &fresh[i]
	}
	return t
}

// probes is how many slots are looked at before the mutex is taken to look at all.
const probes = 32

// take takes a slot, if it finds a free one. It returns the slot's word.
func (s *slots) take() (*slot, uint64) {
	if s.mode.Load() != open {
		return nil, 0
	}
	t := s.table.Load()
	at, mask := stripe.Hash()>>t.shift, uint64(len(t.slots)-1)
	for i := range min(uint64(len(t.slots)), probes) {
		slot := t.slots[(at+i)&mask]
		if w := slot.word.Load(); w&stateMask == free && slot.word.CompareAndSwap(w, w+use+taken) {
			if i > 0 && t.tight {
				slot.b.widen()
			}
			return slot, w + use + taken
		}
	}
	if len(t.slots) <= probes {
		return nil, 0
	}
	return t.elsewhere()
}

// elsewhere is take for who found none where he looks first: one goroutine that holds many has them there. It looks at some
// at random, which fails once in seventy times where seven eighths are taken.
func (t *table) elsewhere() (*slot, uint64) {
	random := rand.Uint64()
	at, step := random>>32, random|1 // odd: it comes back to none
	for range probes {
		slot := t.slots[at&uint64(len(t.slots)-1)]
		if w := slot.word.Load(); w&stateMask == free && slot.word.CompareAndSwap(w, w+use+taken) {
			return slot, w + use + taken
		}
		at += step
	}
	return nil, 0
}

// widen is for who found the first slot it looked at taken.
func (b *Bulkhead) widen() {
	if b.mu.TryLock() {
		b.closeLocked()
		if old := b.slots.table.Load(); old.tight {
			b.moreSlotsLocked(old.slots)
		}
		b.settleLocked()
		b.mu.Unlock()
	}
}

// uses is how many calls have had a slot, those that have one now included.
func (s *slots) uses() (n uint64) {
	n = s.retired.Load()
	for _, slot := range s.table.Load().slots {
		n += slot.word.Load() / use
	}
	return n
}

// inUse is how many calls have a slot now.
func (s *slots) inUse() (n int) {
	for _, slot := range s.table.Load().slots {
		if slot.word.Load()&stateMask == taken {
			n++
		}
	}
	return n
}

// giveBack gives a slot back, if its word is still the one that its call was given.
func (s *slot) giveBack(word uint64) bool { return s.put(word, word-taken) }

// giveBackUnused is for a slot with which no call was made.
func (s *slot) giveBackUnused(word uint64) { s.put(word, word-taken-use) }

// put gives a slot back with another count of uses.
func (s *slot) put(word, uses uint64) bool {
	mode := &s.b.slots.mode
	if mode.Load() != open {
		return s.handBack(word, uses)
	}
	if !s.word.CompareAndSwap(word, uses+free) {
		return false
	}
	if mode.Load() != open {
		s.b.overlooked()
	}
	return true
}

// handBack is put under the mutex.
func (s *slot) handBack(word, uses uint64) bool {
	if !s.word.CompareAndSwap(word, uses+withheld) {
		return false
	}
	b := s.b
	now := b.now() // before the lock: it takes longer than what is done under it
	b.mu.Lock()
	if b.slots.mode.Load() == open {
		s.word.Store(uses + free)
	} else {
		b.spare = append(b.spare, s)
		b.handOverLocked(now)
	}
	b.mu.Unlock()
	return true
}

// overlooked sees to a slot that became free while the mode changed: who changed it may have looked before.
func (b *Bulkhead) overlooked() {
	b.mu.Lock()
	if b.slots.mode.Load() != open {
		b.withholdLocked()
		b.handOverLocked(b.now())
	}
	b.mu.Unlock()
}

// withholdLocked takes all free slots under the mutex. The mode is not open.
func (b *Bulkhead) withholdLocked() {
	for _, s := range b.slots.table.Load().slots {
		if w := s.word.Load(); w&stateMask == free && s.word.CompareAndSwap(w, w+withheld) {
			b.spare = append(b.spare, s)
		}
	}
}

// closeLocked makes slots go through the mutex, until settleLocked.
func (b *Bulkhead) closeLocked() {
	if b.slots.mode.Load() == open {
		b.slots.mode.Store(few)
		b.withholdLocked()
	}
}

// freeLocked is how many calls may have a slot beside those that have one. It is below zero after the limit was lowered.
// The mode is not open.
func (b *Bulkhead) freeLocked() int {
	return b.limit - (len(b.slots.table.Load().slots) - len(b.spare))
}

// grantLocked takes one of those that are free.
func (b *Bulkhead) grantLocked() *slot {
	b.growLocked()
	last := len(b.spare) - 1
	s := b.spare[last]
	b.spare = b.spare[:last]
	s.word.Store(s.word.Load() - withheld + use + taken) // while it is withheld nobody else touches it
	return s
}

// growLocked makes more slots if there is no spare one.
func (b *Bulkhead) growLocked() {
	if len(b.spare) == 0 {
		b.moreSlotsLocked(b.slots.table.Load().slots)
	}
}

func (b *Bulkhead) moreSlotsLocked(old []*slot) {
	t := b.newTable(old, 2*len(old))
	b.slots.table.Store(t)
	b.spare = append(b.spare, t.slots[len(old):]...)
}

// shrinkLocked lets most slots go, of those that nobody has, when there are far more than the limit allows: a search among
// them would take long.
func (b *Bulkhead) shrinkLocked() {
	old := b.slots.table.Load().slots
	inHands := len(old) - len(b.spare)
	n := 1 << bits.Len(uint(max(b.limit, inHands, fewSlots)-1))
	if len(old) <= 4*n {
		return
	}
	kept, gone := b.spare[:n-inHands], make(map[*slot]bool, len(old)-n)
	for _, s := range b.spare[n-inHands:] {
		gone[s] = true
		b.slots.retired.Add(s.word.Load() / use)
	}
	rest := slices.DeleteFunc(slices.Clone(old), func(s *slot) bool { return gone[s] })
	b.spare = slices.Clone(kept)
	b.slots.table.Store(b.newTable(rest, n))
}

// settleLocked decides how slots go from hand to hand from now on.
func (b *Bulkhead) settleLocked() {
	n := b.freeLocked()
	switch {
	case b.queue.len > 0:
		b.becomeLocked(waiting)
	case n <= 0:
		b.becomeLocked(full)
	case n < max(b.limit, len(b.slots.table.Load().slots))/8, // not worth it: to find out that there are none takes a look at all slots
		b.unsure: // the next call is to be timed
		b.becomeLocked(few)
	default:
		b.growLocked()
		kept := max(len(b.spare)-n, 0)
		for _, s := range b.spare[kept:] {
			s.word.Store(s.word.Load() - withheld + free) // nobody else touches it
		}
		b.spare = b.spare[:kept]
		b.becomeLocked(open)
	}
}

func (b *Bulkhead) becomeLocked(mode uint32) {
	if b.slots.mode.Load() != mode { // to store costs what a lock costs
		b.slots.mode.Store(mode)
	}
}
