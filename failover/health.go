package failover

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// mayEjectLocked reports whether one more target may be ejected for what calls came to.
func (g *core) mayEjectLocked() bool {
	out := 0
	for _, s := range g.states {
		if s.is() != Healthy {
			out++
		}
	}
	most := int(math.Ceil(g.set().maxEjected*float64(len(g.states)) - 1e-9))
	return out < max(most, 1)
}

// ejectLocked leaves a target alone for a while. The caller makes the table anew.
func (g *core) ejectLocked(t *target, why string, now time.Duration) {
	set := g.set()
	if t.is() == Healthy { // each while that it has been well for halves the next
		for well := now - time.Duration(t.since.Load()); t.ejections > 0 && well >= set.hold(t.ejections); {
			well -= set.hold(t.ejections)
			t.ejections--
		}
	}
	if t.ejections == 0 || set.hold(t.ejections) < set.maxEjectFor { // more would only take longer to forget
		t.ejections++
	}
	t.until = now + set.hold(t.ejections)
	t.why, t.goods = why, 0
	t.rampFrom.Store(0)
	t.paused.Store(0)
	g.changeLocked(t, Ejected, why, now)
}

// hold is how long the nth ejection lasts.
func (s *settings) hold(n int) time.Duration {
	d := s.ejectFor
	for range n - 1 {
		if d >= s.maxEjectFor/2 {
			return s.maxEjectFor
		}
		d *= 2
	}
	return d
}

// overLocked is for a target whose ejection is over.
func (g *core) overLocked(t *target, now time.Duration) {
	if set := g.set(); set.probe != nil && t.goods >= set.goodProbes {
		g.backLocked(t, "probes are good", now)
		return
	}
	g.changeLocked(t, Probing, "", now)
}

// backLocked takes a target back.
func (g *core) backLocked(t *target, why string, now time.Duration) {
	t.failures.Store(0)
	t.paused.Store(0)
	t.turnLocked(false)
	t.window.clear()
	t.rhythm.reset()
	t.cost.reset()
	t.bads = 0
	if g.set().slowStart > 0 {
		t.rampFrom.Store(max(int64(now), 1))
	}
	g.changeLocked(t, Healthy, why, now)
}

// changeLocked is the one place where a target's state changes.
func (g *core) changeLocked(t *target, to State, why string, now time.Duration) {
	from := t.is()
	t.condition.Store(uint32(to))
	t.since.Store(int64(now))
	e := Event{Name: g.title, Target: t.name, From: from, To: to, Why: why, At: g.start.Add(now)}
	if to == Ejected {
		e.Until = g.start.Add(t.until)
	}
	g.events.Put(e)
}

// changed does something with a target, and makes the table anew if that has changed how calls are to see it.
func (g *core) changed(now time.Duration, do func(now time.Duration) (differs bool)) {
	g.mu.Lock()
	if do(now) {
		g.rebuildLocked(g.set(), g.table.Load().all, now)
	}
	g.mu.Unlock()
	g.events.deliver(g)
}

// wentWell is for a success on a target that is not healthy: of a trial, or because there was no other.
func (g *core) wentWell(t *target, trial bool) {
	g.changed(g.now(), func(now time.Duration) bool {
		switch {
		case t.gone || t.is() == Healthy:
			return false
		case g.noneIsWell(): // better than any other
			g.backLocked(t, "it is the only one that is well", now)
			t.rampFrom.Store(0)
			return true
		case !trial || t.is() != Probing:
			return false
		}
		if t.goods++; t.goods < g.set().goodProbes {
			return false
		}
		g.backLocked(t, "trials went well", now)
		return true
	})
}

// resume ends the pause of a target that has answered.
func (g *core) resume(t *target) {
	g.changed(g.now(), func(time.Duration) bool { return t.paused.Swap(0) != 0 })
}

// noneIsWell reports whether no target is, as far as is known: each is ejected, or would be if that many may be, or is to
// show that it is well.
func (g *core) noneIsWell() bool {
	all := g.table.Load()
	for _, t := range all.all {
		if !t.knownDown(all.set.downAfter()) {
			return false
		}
	}
	return true
}

// wentBad is for the nth failure in a row. Where no more targets may be ejected, it is passed over for a while, as long as
// another is well.
func (g *core) wentBad(t *target, n int32, trial bool) {
	limit := g.set().consecutive
	if !trial && (limit == 0 || n < limit || t.is() != Healthy || n%limit != 0 && t.paused.Load() != 0) {
		return
	}
	g.changed(g.now(), func(now time.Duration) bool {
		switch {
		case t.gone:
			return false
		case trial && t.is() == Probing:
			g.ejectLocked(t, "a trial failed", now)
			return true
		case limit == 0 || t.is() != Healthy || t.failures.Load() < limit:
			return false
		case n%limit == 0 && g.mayEjectLocked():
			g.ejectLocked(t, fmt.Sprintf("%d failures in a row", n), now)
		default:
			t.paused.Store(int64(now + g.set().ejectFor))
		}
		return true
	})
}

// fit reports whether a healthy target may be chosen just now. One that is slow to start is, for a share of the calls that
// grows.
func (s *settings) fit(t *target, now int64) bool {
	if share := s.warmth(t, now); share < 1 && rand.Float64() >= share {
		return false
	}
	return !s.suspect(t, now)
}

// warmth is how far a target is with its slow start; 1: it is done, or there is none.
func (s *settings) warmth(t *target, now int64) float64 {
	from := t.rampFrom.Load()
	if from == 0 || s.slowStart <= 0 {
		return 1
	}
	return min(max(float64(now-from)/float64(s.slowStart), leastShare), 1)
}

const (
	leastShare = 0.1 // is what a target begins its slow start with
	rampSteps  = 16  // in which a level gets more, all of whose targets are slow to start
)

// watches reports whether some of the targets may be unfit at times.
func (s *settings) watches(ts []*target) bool {
	if s.suspicion > 0 {
		return true
	}
	for _, t := range ts {
		if t.rampFrom.Load() != 0 {
			return true
		}
	}
	return false
}
