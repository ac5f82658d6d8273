package failover

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"
)

// judgeLocked compares each healthy target with the median of the others, by its share of failures and by its latency, and
// ejects the worst first. The median, and the median of the distances from it, say what is usual as long as that is true
// of half of the targets. (A mean and its deviation, as in Envoy's rule of 1.9 deviations, are drawn so far towards many dead
// targets that they see none of them.)
func (g *core) judgeLocked(t *table, now time.Duration) {
	g.turnLocked(t, now)
	var seen []judged
	for _, t := range t.all {
		if w := t.window.sum(); t.is() == Healthy && w.calls() >= g.set().minCalls {
			seen = append(seen, judged{t, w})
		}
	}
	g.limitLocked(seen)
	if len(seen) < 2 {
		return
	}
	found := g.outliers(seen)
	slices.SortStableFunc(found, func(a, b outlier) int { return -compare(a.excess, b.excess) })
	for _, o := range found {
		if o.is() == Healthy && g.mayEjectLocked() {
			g.ejectLocked(o.target, o.why, now)
		}
	}
}

// turnLocked begins another spell of all windows.
func (g *core) turnLocked(t *table, now time.Duration) {
	passed := int(min((now-g.judged)/(t.set.window/spells), spells+1))
	g.judged = now
	limited := g.heeded.Load() > 0
	for _, t := range t.all {
		t.turnLocked(limited)
		for range passed - 1 { // spells in which nobody called: what came before is that much older
			t.window.add(tally{})
		}
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// judged is a target and what came of the calls there.
type judged struct {
	*target
	seen tally
}

// outlier is a target that is worse than the others.
type outlier struct {
	*target
	excess float64 // how much worse: 1 is just bad enough
	why    string
}

// outliers are those that are to be ejected.
func (g *core) outliers(all []judged) (found []outlier) {
	set := g.set()
	if set.failureMargin > 0 {
		found = set.failing(found, all)
	}
	if set.slowFactor > 0 {
		for level := range levelsOf(all) { // each by itself: another one may be further away
			level = slices.DeleteFunc(slices.Clone(level), func(j judged) bool { return j.seen.timed < set.minCalls })
			found = set.slow(found, level)
		}
	}
	return found
}

// levelsOf parts targets that are in the order of their levels.
func levelsOf(all []judged) iter.Seq[[]judged] {
	return func(yield func([]judged) bool) {
		for len(all) > 0 {
			n := slices.IndexFunc(all, func(j judged) bool { return j.priority != all[0].priority })
			if n < 0 {
				n = len(all)
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// limitLocked says what of the time of a call is heeded from now on: a few times what would be slow, in the slowest level.
func (g *core) limitLocked(seen []judged) {
	set, most, busiest := g.set(), 0.0, uint64(0)
	for level := range levelsOf(seen) {
		var usual []float64
		for _, j := range level {
			busiest = max(busiest, j.window.busiest())
			switch {
			case j.seen.timed >= set.minCalls:
				usual = append(usual, j.seen.typical())
			case j.seen.good >= set.minCalls:
				usual = append(usual, float64(j.seen.mean()))
			}
		}
		if len(usual) > 0 {
			slices.Sort(usual)
			most = max(most, usual[(len(usual)-1)/2])
		}
	}
	if most > 0 && set.slowFactor > 0 {
		g.heeded.Store(int64(min(most*set.slowFactor*timesSlow, float64(mostHeeded(busiest)))) + 1)
	}
}

// failing are those whose share of failures is too large: by more than the margin, than the others differ, and than chance
// makes of so few calls.
func (s *settings) failing(found []outlier, all []judged) []outlier {
	shares, fewest := make([]float64, len(all)), math.Inf(1)
	for i, j := range all {
		shares[i] = float64(j.seen.bad) / float64(j.seen.calls())
		fewest = min(fewest, float64(j.seen.calls()))
	}
	return worse(found, all, shares, func(i int, usual, spread float64) float64 {
		calls := float64(all[i].seen.calls())
		both := (shares[i]*calls + usual*fewest) / (calls + fewest)
		chance := math.Sqrt(both * (1 - both) * (1/calls + 1/fewest))
		return usual + max(s.failureMargin, deviations*spread, ofChance*chance)
	}, func(share, usual float64) string {
		return fmt.Sprintf("%.0f %% of calls failed, with the others %.0f %%", 100*share, 100*usual)
	})
}

// slow are those whose calls take too long.
func (s *settings) slow(found []outlier, all []judged) []outlier {
	times, fewest := make([]float64, len(all)), math.Inf(1)
	for i, j := range all {
		times[i] = j.seen.typical()
		fewest = min(fewest, float64(j.seen.timed))
	}
	return worse(found, all, times, func(i int, usual, spread float64) float64 {
		chance := usual * variation * math.Sqrt(1/float64(all[i].seen.timed)+1/fewest)
		return usual + max(usual*(s.slowFactor-1), deviations*spread, ofChance*chance, leastSlowness)
	}, func(mean, usual float64) string {
		return fmt.Sprintf("calls took %v, with the others %v", round(mean), round(usual))
	})
}

func round(nanos float64) time.Duration { return brief(time.Duration(nanos)) }

// brief is d with three digits, as people read it.
func brief(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

const (
	// deviations of a normal distribution within which nothing is out of the ordinary.
	deviations = 3

	// ofChance is the same for what chance makes of a share: more, as each target is judged again and again.
	ofChance = 4

	// variation is the deviation of latencies for their mean: that of what varies a lot.
	variation = 2

	// timesSlow: what takes longer than so many times what is slow is heeded only in part.
	timesSlow = 3

	// spreadOfNormal times the median distance from the median is the standard deviation of a normal distribution.
	spreadOfNormal = 1.4826

	// leastSlowness: what is slower by less than this is not worth ejecting.
	leastSlowness = float64(2 * time.Millisecond)
)

// worse finds the targets whose value is above the limit that the others set.
func worse(found []outlier, all []judged, values []float64, limit func(i int, usual, spread float64) float64, why func(value, usual float64) string) []outlier {
	if len(values) < 2 {
		return found
	}
	sorted := slices.Sorted(slices.Values(values))
	for i, v := range values {
		at, _ := slices.BinarySearch(sorted, v)
		usual := without{sorted, at}.median()
		if bound := limit(i, usual, 0); v <= bound { // most are done here
			continue
		}
		bound := limit(i, usual, spreadOfNormal*without{sorted, at}.spread(usual))
		if v > bound {
			excess := 2.0
			if bound > usual {
				excess = (v - usual) / (bound - usual)
			}
			found = append(found, outlier{all[i].target, excess, why(v, usual)})
		}
	}
	return found
}

// without is a sorted list without the one at an index.
type without struct {
	sorted []float64
	index  int
}

func (w without) len() int { return len(w.sorted) - 1 }

func (w without) at(i int) float64 {
	if i >= w.index {
		i++
	}
	return w.sorted[i]
}

func (w without) median() float64 {
	n := w.len()
	return (w.at((n-1)/2) + w.at(n/2)) / 2
}

// spread is the median of the distances from the median: the smallest distances are next to it, on either side.
func (w without) spread(median float64) float64 {
	n := w.len()
	high := 0
	for high < n && w.at(high) < median {
		high++
	}
	low, nearest, before := high-1, 0.0, 0.0
	for range n/2 + 1 {
		before = nearest
		switch {
		case low < 0 || high < n && w.at(high)-median < median-w.at(low):
			nearest = w.at(high) - median
			high++
		default:
			nearest = median - w.at(low)
			low--
		}
	}
	if n%2 == 1 {
		return nearest
	}
	return (before + nearest) / 2
}
