package failover

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// table is the targets as calls find them. It does not change: with each change of a state there is another.
type table struct {
	set    *settings // that it was made by, and calls that begin with it go by
	all    []*target // in the order of the levels
	levels []level
	only   *level    // the level that gets all first attempts; nil: several do, or none can
	trials []*target // that a call may find out about
	ready  int       // targets that are healthy
	panics bool      // some level uses its targets whether they are healthy or not
}

// level is the targets of one priority.
type level struct {
	priority int
	all      []*target
	ready    []*target // those that are healthy
	well     []*target // of these, those that are not passed over for a while
	warm     float64   // how far the one is with its slow start that is the furthest: 1 is done
	use      pool      // for the first attempt of a call: those that are well, or in a panic all
	until    int       // of a hundred calls: the level that comes before has those below, the next those from here on
}

// newTable sorts targets into levels, and says who gets what. trials says that calls find out who is well again.
func newTable(set *settings, ts []*target, trials bool, now time.Duration) *table {
	t := &table{set: set, all: slices.Clone(ts)}
	slices.SortStableFunc(t.all, func(a, b *target) int { return cmp.Compare(a.priority, b.priority) })
	for rest := t.all; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(x *target) bool { return x.priority != rest[0].priority })
		if n < 0 {
			n = len(rest)
		}
		t.levels = append(t.levels, level{priority: rest[0].priority, all: rest[:n:n]})
		rest = rest[n:]
	}
	t.sortOut(now)
	t.spill()
	if trials { // no probe finds out
		t.trials = t.waiting()
	}
	return t
}

// sortOut says which targets are healthy, and which of those are well. If none is, those that would be passed over are not.
func (t *table) sortOut(now time.Duration) {
	well := 0
	for i := range t.levels {
		l := &t.levels[i]
		for _, x := range l.all {
			if x.is() != Healthy {
				continue
			}
			l.ready = append(l.ready, x)
			if x.paused.Load() == 0 {
				l.well = append(l.well, x)
				l.warm = max(l.warm, t.set.warmth(x, int64(now)))
			}
		}
		t.ready += len(l.ready)
		well += len(l.well)
	}
	for i := range t.levels {
		if l := &t.levels[i]; well == 0 && len(l.ready) > 0 {
			l.well, l.warm = l.ready, 1
		}
	}
}

// waiting are the targets that wait for a call to find out about them, of the levels that get any.
func (t *table) waiting() (all []*target) {
	for i := range t.levels {
		l := &t.levels[i]
		if before := t.before(i); l.until == before && before == 100 {
			break // it gets none, nor do those that come after
		}
		for _, x := range l.all {
			if x.is() == Probing {
				all = append(all, x)
			}
		}
	}
	return all
}

// before is how many of a hundred calls the levels above have.
func (t *table) before(i int) int {
	if i == 0 {
		return 0
	}
	return t.levels[i-1].until
}

// spill says which level gets how much, as Envoy does: a level takes its share of healthy targets, times the
// overprovisioning, in percent, and the next what is left. Where all together cannot take 100 % each gets its part of what
// they can, and a level of which too little is healthy uses all of its targets. A level of which all are slow to start
// begins with a little.
func (t *table) spill() {
	health, total := make([]int, len(t.levels)), 0
	for i, l := range t.levels {
		health[i] = int(min(100*t.set.overprovisioning*l.warm*float64(len(l.well))/float64(len(l.all))+1e-9, 100))
		if len(l.well) > 0 {
			health[i] = max(health[i], 1)
		}
		total += health[i]
	}
	enough, given := total >= 100, 0
	for i := range t.levels {
		l := &t.levels[i]
		part := health[i]
		if !enough && total > 0 {
			part = (health[i]*100 + total/2) / total
		}
		given = min(given+part, 100)
		l.until = given
		l.use = newPool(t.set, l.well)
		if gets := part > 0 || total == 0 && i == 0; !enough && gets && t.set.panics(l) {
			l.use = newPool(t.set, l.all)
			t.panics = true
		}
	}
	switch last := len(t.levels) - 1; {
	case total == 0 && last >= 0: // nobody is healthy
		t.levels[0].until = 100
	case !enough && last >= 0: // what rounding has left
		t.levels[max(slices.IndexFunc(t.levels, func(l level) bool { return l.until == given }), 0)].until = 100
	}
	for i := range t.levels {
		if l := &t.levels[i]; len(l.use.targets) > 0 && l.until == 100 && t.before(i) == 0 {
			t.only = l
		}
		if t.levels[i].until == 100 {
			break
		}
	}
}

// panics reports whether so little of a level is healthy that all of it is to be used.
func (s *settings) panics(l *level) bool {
	switch {
	case s.panicBelow < 0:
		return false
	case len(l.ready) == 0:
		return true
	case s.balance == Ordered:
		return false
	}
	return float64(len(l.ready)) < s.panicBelow*float64(len(l.all))
}

// draw says which level a call begins with; nil: none has anybody.
func (t *table) draw() *level {
	if t.only != nil {
		return t.only
	}
	r := rand.IntN(100)
	for i := range t.levels {
		if l := &t.levels[i]; r < l.until && len(l.use.targets) > 0 {
			return l
		}
	}
	for i := range t.levels { // rather another one than none
		if l := &t.levels[i]; len(l.use.targets) > 0 {
			return l
		}
	}
	return nil
}
