package main

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// served is what one run of the overload measured.
type served struct {
	calls  endings
	phases []stretch
	line   []stretch // a bucket each

	good, refusals sample // how long these took, and nothing else of them

	worked  int // requests that the server worked on
	waiting int // requests that it still had before it at the end
}

// stretch is a part of a run, as far as the run went. An answer belongs to the one in which it came, whenever it was
// asked for.
type stretch struct {
	from, to time.Duration
	good     int // answers in time
}

func (s stretch) lived() bool { return s.to > s.from }

// goodput is answers in time a second.
func (s stretch) goodput() float64 {
	if !s.lived() {
		return 0
	}
	return float64(s.good) / (s.to - s.from).Seconds()
}

// count adds an answer if it came in the stretch.
func (s *stretch) count(at time.Duration) {
	if s.from <= at && at < s.to {
		s.good++
	}
}

// bucket is the time whose answers are one point of the chart.
const bucket = 100 * time.Millisecond

// endings counts calls, by how they ended.
type endings struct{ all, good, refused, shed int }

func (n *endings) add(e ending) {
	n.all++
	switch e {
	case succeeded:
		n.good++
	case refused:
		n.refused++
	case shed:
		n.shed++
	}
}

// late is how many were not answered in time: neither with 200 nor with 503.
func (n endings) late() int { return n.all - n.good - n.refused - n.shed }

func servedOf(c course, calls []call) *served {
	// Calls are made in their order: a run that was cut short was so before this one.
	reached := c.due(len(calls))
	r := &served{phases: c.stretches(reached)}
	for from := time.Duration(0); from+bucket <= reached; from += bucket {
		r.line = append(r.line, stretch{from: from, to: from + bucket})
	}
	for _, call := range calls {
		r.calls.add(call.ended)
		switch call.ended {
		case succeeded:
			r.good.took = append(r.good.took, call.took)
			for i := range r.phases {
				r.phases[i].count(call.at)
			}
			if at := int(call.at / bucket); at < len(r.line) {
				r.line[at].count(call.at)
			}
		case refused:
			r.refusals.took = append(r.refusals.took, call.took)
		}
	}
	slices.Sort(r.good.took)
	slices.Sort(r.refusals.took)
	return r
}

// wasted is how many requests the server worked on for nobody.
func (r *served) wasted() int { return max(r.worked-r.calls.good, 0) }

// series is goodput over time, for a chart.
func (r *served) series(name string) chart.Series {
	s := chart.Series{Name: name}
	for _, b := range r.line {
		s.X = append(s.X, (b.from+b.to).Seconds()/2)
		s.Y = append(s.Y, b.goodput())
	}
	return s
}
