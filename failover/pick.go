package failover

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
)

// pick chooses the target of a call's first attempt, at that time. c.trial is set if that is to find out whether the target is
// well again; careful calls are not used for that. Where there is no target the error says why.
func (c *call) pick(now time.Duration) (*target, error) {
	g := c.g
	if int64(now) >= g.due.Load() {
		g.tend(now)
	}
	t := g.table.Load()
	if c.set != t.set {
		t = c.begun(t)
	}
	if f := t.set.finder; f != nil {
		g.refresh(f, now)
	}
	if c.part.Others(g) { // another attempt of the same call has been here
		if x := c.elsewhere(t, c.part, now); x != nil {
			c.part.Take(g, x.state)
			return x, nil
		}
	}
	x := g.freely(t, c.ctx, &c.trial, c.careful, int64(now))
	if x == nil {
		return nil, g.noTarget(t, nil, now)
	}
	c.part.Take(g, x.state)
	return x, nil
}

// begun is the table that the call goes by, and sets its settings. What has asked its settings already, in a Transport, goes by
// the table that these came with, if others have come since; unless it had to wait for targets.
func (c *call) begun(present *table) *table {
	if c.exchange != nil && len(c.exchange.table.all) > 0 {
		return c.exchange.table
	}
	c.set = present.set
	return present
}

// freely chooses as if nothing had happened before.
func (g *core) freely(t *table, ctx context.Context, trial *bool, careful bool, now int64) *target {
	key := keyOf(ctx)
	if len(t.trials) > 0 {
		if x := g.tryOut(t, careful || key != 0, now); x != nil {
			*trial = true
			return x
		}
	}
	l := t.draw()
	if l == nil {
		return nil
	}
	x := g.among(&l.use, key, now)
	if t.set.suspect(x, now) { // nobody of its level is not
		for i := range t.levels {
			if other := &t.levels[i].use; len(other.targets) > 0 && &t.levels[i] != l {
				if y := g.among(other, key, now); !t.set.suspect(y, now) {
					return y
				}
			}
		}
	}
	return x
}

// among chooses one of a pool, for a call with a key or without.
func (g *core) among(p *pool, key uint64, now int64) *target {
	if key != 0 {
		return p.stuck(key, now)
	}
	return g.choose(p, now)
}

// next chooses the target of a further attempt, at that time: one that has not been tried and is not known to be down; or if there is
// none of that kind, one that is, within the credit for such.
func (c *call) next(now time.Duration) (*target, error) {
	t := c.g.table.Load()
	x := c.elsewhere(t, c.part, now)
	if x == nil && !c.part.Alone() { // rather one that another attempt is trying than none
		x = c.elsewhere(t, attempt.Part{}, now)
	}
	if x == nil {
		x = c.lastResort(t, now)
	}
	if x == nil {
		return nil, c.g.noTarget(t, c.visited, now)
	}
	c.part.Take(c.g, x.state)
	return x, nil
}

// elsewhere chooses among those that were not visited and are not known to be down. It begins with the level that a call
// would begin with, and takes the others in their order.
func (c *call) elsewhere(t *table, part attempt.Part, now time.Duration) *target {
	down := c.set.downAfter()
	from := func(l *level) *target {
		left := slices.DeleteFunc(slices.Clone(l.ready), func(x *target) bool {
			return x.knownDown(down) || slices.Contains(c.visited, x.state) || part.Taken(c.g, x.state)
		})
		if len(left) == 0 {
			return nil
		}
		p := newPool(c.set, left)
		return c.g.among(&p, keyOf(c.ctx), int64(now))
	}
	begun := t.draw()
	if begun != nil {
		if x := from(begun); x != nil {
			return x
		}
	}
	for i := range t.levels {
		if l := &t.levels[i]; l != begun {
			if x := from(l); x != nil {
				return x
			}
		}
	}
	return nil
}

// lastResort chooses among those that are known to be down: the one that was not tried so for the longest time, as any may be
// the first that is back.
func (c *call) lastResort(t *table, now time.Duration) *target {
	left := slices.DeleteFunc(slices.Clone(t.all), func(x *target) bool { return slices.Contains(c.visited, x.state) })
	if len(left) == 0 || c.set.panicBelow < 0 || !c.g.spare.take(c.g.counts.calls()) {
		return nil
	}
	rand.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	x := slices.MinFunc(left, func(a, b *target) int { return cmp.Compare(a.tried(), b.tried()) })
	x.lastTry.Store(int64(now))
	return x
}

// tried is when a target was last tried so. One whose ejection is over is ahead of the others by a little.
func (t *target) tried() int64 {
	if t.is() == Probing {
		return t.lastTry.Load() - int64(time.Second)
	}
	return t.lastTry.Load()
}

// calls is how many have ended.
func (c *counts) calls() uint64 {
	return c.atOnce.Load() + c.wonLater.Load() + c.failed.Load() + c.ignored.Load() + c.refused.Load()
}

// noTarget says why there is no target for a call that has visited some: of ten of them, as it is made for each such call.
func (g *core) noTarget(t *table, visited []*state, now time.Duration) *NoTargetError {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := &NoTargetError{Name: g.title}
	for _, x := range t.all {
		if slices.Contains(visited, x.state) {
			continue
		}
		if left := max(x.until-now, 0); x.is() == Ejected && (e.After == 0 || left < e.After) {
			e.After = left
		}
		if len(e.LeftOut) == mostLeftOut {
			e.More++
			continue
		}
		e.LeftOut = append(e.LeftOut, LeftOut{x.name, x.whyNotLocked(now)})
	}
	return e
}

const mostLeftOut = 10

// whyNotLocked is why a target was not tried.
func (t *target) whyNotLocked(now time.Duration) string {
	switch t.is() {
	case Ejected:
		return fmt.Sprintf("ejected for another %v, %s", rounded(max(t.until-now, 0)), t.why)
	case Healthy:
		return fmt.Sprintf("%d failures in a row", t.failures.Load())
	}
	return t.is().String()
}

// rounded is a time with three digits or so.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for unit < d/1000 {
		unit *= 10
	}
	return d.Round(unit)
}
