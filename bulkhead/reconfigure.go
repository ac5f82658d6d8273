package bulkhead

import (
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/internal/conf"
)

var errNilReconfigure = errors.New("a nil Bulkhead has no settings")

// Reconfigure changes what the bulkhead goes by to c, while calls run. What it has learned and counts is kept: the calls that
// have a place, and those that wait; the counts, how long calls take and how long they waited; the limit that Adaptive has
// found, as near as the new Min and Max allow, and all that the search knows; the tokens of the Rate, no more than the new
// Burst, also while there is no Rate for a time.
//
// The limit is that of c, also where [Bulkhead.Resize] had set another. A bulkhead that becomes adaptive begins to search at
// the limit it has; one that is no more takes c.Limit, and forgets what was found. Raised, the limit lets those who wait in
// at once; lowered, it takes effect as calls end.
//
// A call that has its place ends by the settings that it began with: ReleaseAtHeader, NoSpans, Overloaded, and whether the
// search learns from it; but a [Permit] by those of its Done. One that waits does so for the MaxWait that was in force when it began to wait, and goes by the
// settings of that moment after; but the queue is one for all, and so Interval, Target and Rate are what they are now for
// those in it too. A Queue that has become smaller leaves those who are in it, and takes nobody until they are fewer.
//
// Name, TracerProvider, MeterProvider and Logger stay those of New. An error names every field of c that cannot work, and
// nothing has changed then. The bulkheads of a [Keyed] change with it, and not by themselves. It is safe for concurrent use.
func (b *Bulkhead) Reconfigure(c Config) error {
	f := conf.Check("bulkhead.Config")
	c.check(f)
	switch err := f.Err(); {
	case err != nil:
		return err
	case b == nil:
		return fmt.Errorf("%s: %w", b.label(), errNilReconfigure)
	case b.keyed:
		return fmt.Errorf("%s: Reconfigure: it is of a Keyed: want Keyed.Reconfigure", b.label())
	}
	b.follow(newSettings(c))
	return nil
}

// follow puts s in the place of the settings. No code of the user's runs here.
func (b *Bulkhead) follow(s *settings) {
	now := b.now() // before the lock: it takes longer than what is done under it
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeLocked() // who comes now finds no place without the lock, and so no terms that are half of these and half of those
	found := b.terms.Load().finder
	switch {
	case s.adaptive == nil:
		found, b.limit = nil, s.limit
	case found == nil:
		found = newFinderFrom(b.limit, *s.adaptive, now)
		b.limit = found.limit()
	default:
		found.follow(*s.adaptive, now)
		b.limit = found.limit()
	}
	b.putTermsLocked(s, found)
	b.queue.max = s.queue
	b.shrinkLocked()
	b.handOverLocked(now)
}

// putTermsLocked puts the terms in force that the settings make, with who finds the limit.
func (b *Bulkhead) putTermsLocked(s *settings, found *finder) {
	t := &terms{settings: s, finder: found}
	if s.metered() {
		if b.meter == nil {
			b.meter = newMeter(s)
		} else {
			b.meter.follow(s)
		}
		t.meter = b.meter
	}
	t.plain = b.total == nil && t.meter == nil && t.finder == nil
	b.terms.Store(t)
}

// Reconfigure changes what all bulkheads of the set go by, those to come too, and the total, as [Bulkhead.Reconfigure] does.
// A key's limit, and the total, are those of c also where Resize had set others. MaxKeys and IdleAfter stay those of NewKeyed.
// A call that begins meanwhile may have a place by the new settings and wait for one of the total's by the old.
func (k *Keyed[K]) Reconfigure(c KeyedConfig) error {
	f := conf.Check("bulkhead.KeyedConfig")
	c.check(f)
	switch err := f.Err(); {
	case err != nil:
		return err
	case k == nil:
		return fmt.Errorf("bulkhead: %w", errNilReconfigure)
	}
	s := newSettings(c.Config)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set.Store(s)
	k.total.follow(s.ofTotal(c.Total))
	for _, p := range k.known {
		if b := p.Value(); b != nil {
			b.follow(s)
		}
	}
	return nil
}
