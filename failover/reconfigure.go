package failover

import (
	"errors"
	"fmt"
	"time"
)

var (
	errNilReconfigure = errors.New("a nil group has no settings")
	errClosed         = errors.New("it is closed")
)

// Reconfigure changes what the group goes by to c, while calls run. What it knows of its targets is kept: who is ejected and
// until when, trials and slow starts under way, failures in a row, latencies and costs, the calls under way, and all that is
// counted.
//
// c is a whole Config, as for New; [Group.Config] has one to begin with. Its Targets take the place of the present ones as with
// [Group.Update], in one step with the settings: a call sees both or neither. Without Targets, but with a Resolve, the present
// ones stay.
//
// A call that is under way goes on by the settings that it began with, to its end; only the targets that it moves on to are the
// present ones. Whether a target is ejected, and for how long, goes by the settings of that moment: ejections that have begun
// end when they were to. A Window of another length begins with what the last one had.
//
// With a Resolve, the next call has the targets looked up, beside it. A lookup under way is given up: its context is cancelled, and
// what it finds is not heeded. Calls that wait for the very first one wait for the new Resolve, or go on with the Targets.
//
// Probes begin if there was no Probe, within about a tenth of the interval, and end if there is none any more: the context of one
// under way is cancelled, and its result is not heeded. Else one that is under way goes on, and counts; the next one is of the new
// Probe, and comes a new interval after it, at once if that is over. [Group.Close] ends them all, as before; after it
// Reconfigure returns an error.
//
// Name, TracerProvider, MeterProvider and Logger stay those of New. An error names every field of c that cannot work, and
// nothing has changed then. It is safe for concurrent use.
func (g *Group[T]) Reconfigure(c Config[T]) error {
	if err := c.check(); err != nil {
		return err
	}
	if g == nil {
		return fmt.Errorf("%s: %w", g.inner().name(), errNilReconfigure)
	}
	was := g.set().given.(*Config[T]) // these never change
	c.Name, c.TracerProvider, c.MeterProvider, c.Logger = was.Name, was.TracerProvider, was.MeterProvider, was.Logger
	return g.follow(g.settingsOf(c), g.targetsOf(c.Targets))
}

// follow puts settings and targets in the place of the present ones. No targets: they stay.
func (g *core) follow(next *settings, ts []candidate) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("%s: %w", g.name(), errClosed)
	}
	t, now := g.table.Load(), g.now()
	if len(ts) == 0 {
		ts = present(t)
	}
	g.adaptLocked(t, next, now)
	g.replaceLocked(next, ts)
	if len(ts) > 0 {
		g.ready.Store(true)
	}
	if f := t.set.finder; f != nil {
		f.giveUp()
	}
	return nil
}

// present are the targets of a table, to be those of another.
func present(t *table) []candidate {
	all := make([]candidate, len(t.all))
	for i, x := range t.all {
		all[i] = candidate{name: x.name, make: func(*state) *target { return x }}
	}
	return all
}

// adaptLocked makes what is known by the settings of a table mean the same by others.
func (g *core) adaptLocked(t *table, next *settings, now time.Duration) {
	was := t.set
	if next.window != was.window { // the spell under way was one of the old length
		g.turnLocked(t, now)
	}
	if next.ejectFor != was.ejectFor {
		g.nextTrial.Store(0)
	}
	for _, s := range g.states {
		if next.suspicion > 0 && was.suspicion == 0 { // nobody has listened
			s.rhythm.reset()
			s.rhythm.busy(int64(now))
		}
		if next.consecutive != was.consecutive {
			s.recount(next.consecutive)
		}
		if next.probe == nil {
			s.bads = 0
		}
	}
}

// recount is for another limit of failures in a row. With each multiple of it a target may be ejected: one that has had more
// is with the next.
func (s *state) recount(limit int32) {
	for limit > 0 {
		n := s.failures.Load()
		if n < limit || s.failures.CompareAndSwap(n, 2*limit-1) {
			return
		}
	}
}
