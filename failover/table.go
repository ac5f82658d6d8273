package failover

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// table is the targets as calls find them. It does not change: with each change of a state there is another.
type table struct {
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
	use      pool      // for the first attempt of a call: the ready ones, or in a panic all
	until    int       // of a hundred calls: the level that comes before has those below, the next those from here on
}

// newTable sorts targets into levels, and says who gets what.
func (g *core) newTable(ts []*target) *table {
	t := &table{all: slices.Clone(ts)}
	slices.SortStableFunc(t.all, func(a, b *target) int { return cmp.Compare(a.priority, b.priority) })
	for rest := t.all; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(x *target) bool { return x.priority != rest[0].priority })
		if n < 0 {
			n = len(rest)
		}
		t.levels = append(t.levels, level{priority: rest[0].priority, all: rest[:n:n]})
		rest = rest[n:]
	}
	for i := range t.levels {
		l := &t.levels[i]
		for _, x := range l.all {
			switch x.is() {
			case Healthy:
				l.ready = append(l.ready, x)
			case Probing:
				if g.set.probe == nil || g.closed { // no probe finds out
					t.trials = append(t.trials, x)
				}
			}
		}
		t.ready += len(l.ready)
	}
	g.spill(t)
	return t
}

// spill says which level gets how much, as Envoy does: a level takes its share of healthy targets, times the
// overprovisioning, in percent, and the next what is left. Where all together cannot take 100 % each gets its part of what
// they can, and a level of which too little is healthy uses all of its targets.
func (g *core) spill(t *table) {
	health, total := make([]int, len(t.levels)), 0
	for i, l := range t.levels {
		health[i] = int(min(100*g.set.overprovisioning*float64(len(l.ready))/float64(len(l.all))+1e-9, 100))
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
		l.use = newPool(l.ready, g.watches(l.ready))
		if gets := part > 0 || total == 0 && i == 0; !enough && gets && g.panics(l) {
			l.use = newPool(l.all, g.watches(l.all))
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
		if l := &t.levels[i]; len(l.use.targets) > 0 && l.until == 100 && (i == 0 || t.levels[i-1].until == 0) {
			t.only = l
		}
		if t.levels[i].until == 100 {
			break
		}
	}
}

// panics reports whether so little of a level is healthy that all of it is to be used.
func (g *core) panics(l *level) bool {
	switch {
	case g.set.panicBelow < 0:
		return false
	case len(l.ready) == 0:
		return true
	case g.set.balance == Ordered:
		return false
	}
	return float64(len(l.ready)) < g.set.panicBelow*float64(len(l.all))
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
