package breaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

var errNilReconfigure = errors.New("a nil Breaker has no settings")

// Reconfigure changes what the breaker goes by to c, while calls run. What it has seen and counts is kept: its state, the
// window, the failures in a row, the doubling of cool-downs. A longer Window begins with what the shorter had; a shorter one
// forgets what is too old for it.
//
// A call that is under way is judged by the Classify and SlowAfter that it began with; whether the breaker opens, by the
// settings of that moment. A cool-down and a half-open state that have begun end as they began: OpenFor, MaxOpenFor and
// Probes hold from the next opening on. Calls that began before a change of SlowAfter are not seen as slow until they return.
//
// Name, TracerProvider, MeterProvider and Logger stay those of New. An error names every field of c that cannot work, and
// nothing has changed then. It is safe for concurrent use.
func (b *Breaker) Reconfigure(c Config) error {
	f := conf.Check("breaker.Config")
	c.check(f)
	if err := f.Err(); err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("%s: %w", b.label(), errNilReconfigure)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.followLocked(b.set.Load().successor(c))
	return nil
}

// followLocked puts next in the place of the settings, and fits the generation of the moment to them.
func (b *Breaker) followLocked(next *settings) {
	was := b.set.Swap(next)
	g, now := b.gen.Load(), b.now()
	if next.bucket != was.bucket && (g.state == Closed || g.state == Disabled) {
		g.window.resize(now, next.bucket)
	}
	if next.slowAfter != was.slowAfter && g.state == Closed {
		g.running.Store(runningFor(next, now))
	}
}

// runningFor is what sees slow calls; nil if there are none.
func runningFor(s *settings, now time.Duration) *running {
	if s.slowAfter == 0 {
		return nil
	}
	return newRunning(s.slowAfter, now)
}

// Reconfigure changes what all breakers of the set go by, those to come too, as [Breaker.Reconfigure] does. How many keys
// there may be, and for how long, stays what it was.
func (k *Keyed[K]) Reconfigure(c Config) error {
	f := conf.Check("breaker.Config")
	c.check(f)
	if err := f.Err(); err != nil {
		return err
	}
	if k == nil {
		return fmt.Errorf("breaker: %w", errNilReconfigure)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.set.Load().successor(c)
	k.set.Store(next)
	for b := range k.all {
		b.mu.Lock()
		b.followLocked(next)
		b.mu.Unlock()
	}
	return nil
}
