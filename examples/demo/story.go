package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/internal/chart"
)

// story is what was measured of the outage. Times are counted from the start of the run.
type story struct {
	lasts    time.Duration // as planned
	reached  time.Duration // as far as it went
	down, up time.Duration // when the server was killed, and was there again; 0: not yet
	bare     kept
	held     kept
	answers  []answered // under failover, in their order
	changes  []change
	group    failover.Snapshot
}

// kept is what one way of calling measured. The requests are the attempts, whether they reached a server or not.
type kept struct {
	sample
	good sample // how long the calls that succeeded took, and nothing else of them
}

// answered is which member answered, and when.
type answered struct {
	member int
	at     time.Duration
}

// change is what failover did, and when.
type change struct {
	failover.Event
	at time.Duration
}

// story is what there is when the load has ended.
func (c *cluster) story() *story {
	s := &story{lasts: c.lasts, reached: min(c.ended.Sub(c.began), c.lasts), group: c.group.Snapshot()}
	for _, o := range c.backends[0].outages() {
		s.down = o.from.Sub(c.began)
		if !o.to.IsZero() {
			s.up = o.to.Sub(c.began)
		}
	}
	s.bare, _ = c.bare.measured()
	var came []reply
	s.held, came = c.held.measured()
	for _, r := range came {
		member := slices.IndexFunc(c.backends, func(b *backend) bool { return b.addr == r.from })
		s.answers = append(s.answers, answered{member, r.at.Sub(c.began)})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		s.changes = append(s.changes, change{e, e.At.Sub(c.began)})
	}
	return s
}

// measured is how the calls went, and what was answered.
func (a *asker) measured() (kept, []reply) {
	k := kept{a.tally.sample(), a.good.sample()}
	came, attempts := a.traffic.replies()
	k.requests = int64(attempts)
	return k, came
}

// lost is how many calls failed that were made.
func (k kept) lost() int { return k.failed() - k.shed }

// outage is the time in which the server was down, as far as the run went.
func (s *story) outage() (from, to time.Duration) {
	switch {
	case s.down == 0:
		return 0, 0
	case s.up == 0:
		return s.down, s.reached
	}
	return s.down, s.up
}

// ejected and back are when the server that was killed was first left out, and when it was taken back for good; 0: it was
// not.
func (s *story) ejected() time.Duration { return s.first(failover.Ejected, s.down) }

func (s *story) back() time.Duration {
	if s.up == 0 {
		return 0
	}
	return s.first(failover.Healthy, s.up)
}

// first is the first change to a state from some time on.
func (s *story) first(to failover.State, from time.Duration) time.Duration {
	for _, c := range s.changes {
		if c.Target == members[0].name && c.To == to && c.at >= from {
			return c.at
		}
	}
	return 0
}

// era is a part of the run.
type era struct {
	name     string
	from, to time.Duration
}

// eras are the parts of the run, as far as it went. One that did not come has no length.
func (s *story) eras() []era {
	limits := []time.Duration{0, s.reached, s.reached, s.reached, s.reached}
	if s.down > 0 {
		limits[1] = s.down
	}
	if s.up > 0 {
		limits[2] = s.up
	}
	if at := s.back(); at > 0 {
		limits[3] = min(at+slowStart(s.lasts), s.reached)
	}
	all := []era{{name: "before"}, {name: "killed"}, {name: "coming back"}, {name: "after"}}
	for i := range all {
		all[i].from, all[i].to = limits[i], max(limits[i], limits[i+1])
	}
	return all
}

// shares are the parts that the members have in the answers of a time, and how many answers these are.
func (s *story) shares(from, to time.Duration) (shares []float64, answers int) {
	counts := make([]int, len(members))
	for _, a := range s.answers {
		if from <= a.at && a.at < to {
			counts[a.member]++
			answers++
		}
	}
	for _, n := range counts {
		shares = append(shares, ratio(n, answers))
	}
	return shares, answers
}

// points is how many times the chart has.
const points = 40

// series is each member's share of the answers over time, for a chart.
func (s *story) series() []chart.Series {
	all := make([]chart.Series, len(members))
	for i, m := range members {
		all[i].Name = m.name
	}
	step := s.lasts / points
	for from := time.Duration(0); from+step <= s.reached; from += step {
		shares, answers := s.shares(from, from+step)
		if answers == 0 {
			continue
		}
		for i, share := range shares {
			all[i].X = append(all[i].X, (from + step/2).Seconds())
			all[i].Y = append(all[i].Y, 100*share)
		}
	}
	return slices.DeleteFunc(all, func(s chart.Series) bool { return len(s.X) < 2 })
}

// line is a moment of the run, for the report.
type line struct {
	at   time.Duration
	text string
}

// log is what happened, in its order.
func (s *story) log() []line {
	var all []line
	if s.down > 0 {
		all = append(all, line{s.down, members[0].name + " is killed"})
	}
	if s.up > 0 {
		all = append(all, line{s.up, members[0].name + " is started again"})
	}
	for _, c := range s.changes {
		if c.To == failover.Probing {
			continue // how that ends is the next change
		}
		text := c.Target + " is " + c.To.String()
		if c.To == failover.Ejected {
			text += " for " + c.Until.Sub(c.At).Round(time.Millisecond).String()
		}
		if c.Why != "" {
			text += ": " + c.Why
		}
		all = append(all, line{c.at, text})
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	return all
}
