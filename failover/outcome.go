package failover

import "time"

// What an attempt says about its target, of a call that went by these settings. Each ends the attempt, and is called once.

// wentOn: it went well.
func (g *core) wentOn(set *settings, t *target, began time.Duration, trial bool) {
	now := g.now()
	t.inFlight.add(-1)
	if trial {
		defer t.trial.over(began) // OnChange may panic
	}
	if int64(began) < t.since.Load() {
		g.tooLate(t, tally{good: 1, took: now - began})
		return
	}
	if t.failures.Load() != 0 {
		t.failures.Store(0)
		if t.paused.Load() != 0 {
			g.resume(t)
		}
	}
	g.count(t, now-began)
	if set.balance == PeakEWMA {
		t.cost.observe(int64(now), now-began)
	}
	if set.suspicion > 0 {
		t.rhythm.beat(int64(now))
	}
	if t.is() != Healthy {
		g.wentWell(t, trial)
	}
}

// count counts a success. Where it took far longer than usual, only a part of that is heeded: else one call that stalls would
// make its target a slow one.
func (g *core) count(t *target, took time.Duration) {
	if most := time.Duration(g.heeded.Load()); most > 0 && took > most {
		t.excess.Add(int64(took - most))
		took = most
	}
	t.good.AddN(packed(took))
}

// tooLate is for the result of a call that began when its target was in another state: it is counted, and says nothing.
func (g *core) tooLate(t *target, came tally) {
	g.counts.late.Add(1)
	g.mu.Lock()
	t.window.past.add(came)
	g.mu.Unlock()
}

// wentWrong: it failed.
func (g *core) wentWrong(set *settings, t *target, began time.Duration, word string, trial bool) {
	now := g.now()
	t.inFlight.add(-1)
	t.failedWith(word)
	if trial {
		defer t.trial.over(began)
	}
	if int64(began) < t.since.Load() {
		g.tooLate(t, tally{bad: 1})
		return
	}
	t.bad.Add(1)
	if set.balance == PeakEWMA {
		t.cost.penalise(int64(now), now-began)
	}
	g.wentBad(t, t.failures.Add(1), trial)
}

// turnedAway: it was refused, which is no failure, but makes the target no more attractive either.
func (g *core) turnedAway(set *settings, t *target, began time.Duration, trial bool) {
	now := g.now()
	t.inFlight.add(-1)
	if set.balance == PeakEWMA {
		t.cost.penalise(int64(now), now-began)
	}
	if trial {
		t.refused.Store(max(int64(now), 1))
		t.trial.over(began)
	}
}

// tooShort reports whether a call whose caller has gone had less time than calls usually take: that says nothing of its
// target.
func (g *core) tooShort(set *settings, took time.Duration) bool {
	if most := g.heeded.Load(); most > 0 && set.slowFactor > 0 {
		return float64(took) < float64(most)/(timesSlow*set.slowFactor)
	}
	return took < time.Millisecond // what is usual is not known yet
}

// saysNothing: the caller cancelled, or it was not about the target.
func (g *core) saysNothing(t *target, began time.Duration, trial bool) {
	t.inFlight.add(-1)
	if trial {
		t.trial.over(began)
	}
}

// failedWith keeps the word for the last error.
func (s *state) failedWith(word string) {
	if old := s.lastError.Load(); old == nil || *old != word {
		s.lastError.Store(&word)
	}
}
