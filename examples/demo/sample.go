package main

import (
	"slices"
	"sync"
	"time"
)

// tally takes down how calls end, from many goroutines.
type tally struct {
	mu    sync.Mutex
	took  []time.Duration
	ended [shed + 1]int
}

func (t *tally) add(e ending, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended[e]++
	if e != shed {
		t.took = append(t.took, took)
	}
}

func (t *tally) successes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended[succeeded]
}

func (t *tally) calls() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, count := range t.ended {
		n += count
	}
	return n
}

// sample is what was measured with one backend, or with all of them.
type sample struct {
	calls, succeeded, refused, shed int

	took []time.Duration // of every call that was started, however it ended, sorted

	requests, connections int64 // as the backends counted them
	transitions           int   // of breakers
	opened                int   // how many of these were to open
}

func (t *tally) sample() sample {
	calls := t.calls()
	t.mu.Lock()
	defer t.mu.Unlock()
	return sample{
		calls:     calls,
		succeeded: t.ended[succeeded],
		refused:   t.ended[refused],
		shed:      t.ended[shed],
		took:      slices.Sorted(slices.Values(t.took)),
	}
}

// total adds samples up.
func total(samples []sample) sample {
	var all sample
	for _, s := range samples {
		all.calls += s.calls
		all.succeeded += s.succeeded
		all.refused += s.refused
		all.shed += s.shed
		all.took = append(all.took, s.took...)
		all.requests += s.requests
		all.connections += s.connections
		all.transitions += s.transitions
		all.opened += s.opened
	}
	slices.Sort(all.took)
	return all
}

func (s sample) failed() int { return s.calls - s.succeeded }

// success is the share of calls that succeeded, from 0 to 1.
func (s sample) success() float64 { return ratio(s.succeeded, s.calls) }

// load is how many requests reached a backend for each call.
func (s sample) load() float64 { return ratio(int(s.requests), s.calls) }

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// quantile is the smallest time within which at least the share q of the calls ended (nearest rank).
func (s sample) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	rank := int(q * float64(len(s.took)))
	if float64(rank) < q*float64(len(s.took)) {
		rank++
	}
	return s.took[max(rank, 1)-1]
}
