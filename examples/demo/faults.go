package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// fault is one way of failing.
type fault string

const (
	none    fault = ""
	busy    fault = "busy"    // answers 503
	stalled fault = "stalled" // never answers
	reset   fault = "reset"   // cuts the connection without an answer
	down    fault = "down"    // nobody listens: connection refused
)

// trouble is a fault that a backend falls into again and again: once in every period it lasts for a while, and then
// hits a share of the requests.
type trouble struct {
	fault         fault
	share         float64
	lasts, period time.Duration // zero: always
}

// kind is a backend's name and its troubles. Where several hit at once, the first counts.
type kind struct {
	name     string
	troubles []trouble
}

// kinds are the demo's three backends. Each fault is one that production has, and none is so long that a caller who
// can wait for its deadline would have to give up.
var kinds = []kind{
	{"bursty", []trouble{
		{fault: busy, share: 0.4, lasts: 600 * time.Millisecond, period: 2500 * time.Millisecond},
	}},
	{"stalling", []trouble{
		{fault: stalled, share: 1, lasts: 300 * time.Millisecond, period: 5 * time.Second},
		{fault: stalled, share: 0.015},
	}},
	{"dropping", []trouble{
		{fault: down, share: 1, lasts: 300 * time.Millisecond, period: 5 * time.Second},
		{fault: reset, share: 0.4, lasts: 500 * time.Millisecond, period: 2500 * time.Millisecond},
	}},
}

// spell is a trouble that lasts from one time to another, both counted from the start of the run.
type spell struct {
	trouble
	from, to time.Duration
}

// within is t as it comes in a run of the given length: one shorter than the period has its trouble too.
func (t trouble) within(length time.Duration) trouble {
	if t.period > 0 {
		t.period = min(t.period, length)
		t.lasts = min(t.lasts, t.period/4)
	}
	return t
}

// plan is all that goes wrong with one backend in one run.
type plan []spell

// schedule draws when each trouble comes in a run of the given length: once in each period, at a random time. The
// same source of randomness draws the same plan.
func (k kind) schedule(random *rand.Rand, length time.Duration) plan {
	var p plan
	for _, t := range k.troubles {
		t = t.within(length)
		if t.period == 0 {
			p = append(p, spell{t, 0, length})
			continue
		}
		for start := time.Duration(0); start+t.period <= length; start += t.period {
			from := start + time.Duration(random.Int64N(int64(t.period-t.lasts)))
			p = append(p, spell{t, from, from + t.lasts})
		}
	}
	return p
}

// at is the fault that a request meets at a time, luck being a number drawn for it from [0,1).
func (p plan) at(now time.Duration, luck float64) fault {
	for _, s := range p {
		if s.from <= now && now < s.to && luck < s.share {
			return s.fault
		}
	}
	return none
}

// story says in words what is wrong with the backend in a run of the given length, a line for each trouble.
func (k kind) story(length time.Duration) []string {
	var lines []string
	for _, t := range k.troubles {
		t = t.within(length)
		requests := fmt.Sprintf("%g %% of its requests", 100*t.share)
		if t.share == 1 {
			requests = "any request"
		}
		var what string
		switch t.fault {
		case busy:
			what = "answers 503 to " + requests
		case stalled:
			what = "never answers " + requests
		case reset:
			what = "cuts off " + requests
		case down:
			what = "is gone (connection refused)"
		}
		if t.period > 0 {
			what += fmt.Sprintf(" for %s, every %s or so", t.lasts, t.period)
		}
		lines = append(lines, what)
	}
	return lines
}
