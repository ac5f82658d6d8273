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

// pick chooses the target of a call's first attempt, at that time. trial is set if that is to find out whether the target is
// well again; careful calls are not used for that. Where there is no target the error says why.
func (g *core) pick(ctx context.Context, now time.Duration, part attempt.Part, trial *bool, careful bool) (*target, error) {
	if int64(now) >= g.due.Load() {
		g.tend(now)
	}
	if g.finder.find != nil {
		g.refresh(now)
	}
	t := g.table.Load()
	if part.Others(g) { // another attempt of the same call has been here
		if x := g.elsewhere(t, ctx, part, nil, now); x != nil {
			part.Take(g, x.state)
			return x, nil
		}
	}
	x := g.freely(t, ctx, trial, careful, int64(now))
	if x == nil {
		return nil, g.noTarget(t, nil, now)
	}
	part.Take(g, x.state)
	return x, nil
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
	if g.suspect(x, now) { // nobody of its level is not
		for i := range t.levels {
			if other := &t.levels[i].use; len(other.targets) > 0 && &t.levels[i] != l {
				if y := g.among(other, key, now); !g.suspect(y, now) {
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
		return g.stuck(p, key, now)
	}
	return g.choose(p, now)
}

// next chooses the target of a further attempt, at that time: one that has not been tried and is not known to be down; or if there is
// none of that kind, one that is, within the credit for such.
func (g *core) next(ctx context.Context, now time.Duration, part attempt.Part, visited []*state) (*target, error) {
	t := g.table.Load()
	x := g.elsewhere(t, ctx, part, visited, now)
	if x == nil && !part.Alone() { // rather one that another attempt is trying than none
		x = g.elsewhere(t, ctx, attempt.Part{}, visited, now)
	}
	if x == nil {
		x = g.lastResort(t, visited, now)
	}
	if x == nil {
		return nil, g.noTarget(t, visited, now)
	}
	part.Take(g, x.state)
	return x, nil
}

// elsewhere chooses among those that were not visited and are not known to be down. It begins with the level that a call
// would begin with, and takes the others in their order.
func (g *core) elsewhere(t *table, ctx context.Context, part attempt.Part, visited []*state, now time.Duration) *target {
	down := g.set.downAfter()
	from := func(l *level) *target {
		left := slices.DeleteFunc(slices.Clone(l.ready), func(x *target) bool {
			return x.knownDown(down) || slices.Contains(visited, x.state) || part.Taken(g, x.state)
		})
		if len(left) == 0 {
			return nil
		}
		p := newPool(left, g.watches(left))
		return g.among(&p, keyOf(ctx), int64(now))
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
func (g *core) lastResort(t *table, visited []*state, now time.Duration) *target {
	left := slices.DeleteFunc(slices.Clone(t.all), func(x *target) bool { return slices.Contains(visited, x.state) })
	if len(left) == 0 || g.set.panicBelow < 0 || !g.spare.take(g.counts.calls()) {
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
	e := &NoTargetError{Name: g.set.name}
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
