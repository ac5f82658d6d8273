package bulkhead

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// finder finds the limit by additive increase and multiplicative decrease: one more for each window in which the limit
// bound and nothing was overloaded, a tenth less for each in which something was.
type finder struct {
	mu       sync.Mutex
	min, max int
	present  atomic.Int64
	press    atomic.Bool
	next     time.Duration
}

const findEvery = 100 * time.Millisecond

func newFinder(a Adaptive) *finder {
	f := &finder{min: conf.Or(a.Min, defaultMin), max: conf.Or(a.Max, max(defaultMax, a.Min))}
	f.present.Store(int64(min(max(conf.Or(a.Initial, defaultInitial), f.min), f.max)))
	return f
}

func (f *finder) limit() int { return int(f.present.Load()) }

func (f *finder) pressed() {
	if !f.press.Load() {
		f.press.Store(true)
	}
}

func (f *finder) succeeded(now, latency time.Duration) bool {
	return f.press.Load() && f.move(now, func(n int) int { return n + 1 })
}

func (f *finder) overloaded(now time.Duration) bool {
	return f.move(now, func(n int) int { return n * 9 / 10 })
}

func (f *finder) move(now time.Duration, to func(int) int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now < f.next {
		return false
	}
	f.next = now + findEvery
	f.press.Store(false)
	was := f.limit()
	f.present.Store(int64(min(max(to(was), f.min), f.max)))
	return f.limit() != was
}
