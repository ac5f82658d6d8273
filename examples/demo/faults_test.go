package main

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func TestPlanAt(t *testing.T) {
	p := plan{
		{trouble{fault: down, share: 1}, 100, 200},
		{trouble{fault: reset, share: 0.5}, 150, 300},
	}
	tests := []struct {
		now  time.Duration
		luck float64
		want fault
	}{
		{99, 0, none},
		{100, 0.999, down},
		{160, 0, down}, // both: the first counts
		{200, 0.499, reset},
		{200, 0.5, none},
		{299, 0, reset},
		{300, 0, none},
	}
	for _, test := range tests {
		if got := p.at(test.now, test.luck); got != test.want {
			t.Errorf("at %d with luck %v: got %q, want %q", test.now, test.luck, got, test.want)
		}
	}
}

// TestSchedule: the same seed, the same faults; each once in its period, and within the run.
func TestSchedule(t *testing.T) {
	for seed := range uint64(200) {
		length := time.Duration(seed+1) * 100 * time.Millisecond
		for _, k := range kinds {
			draw := func() plan { return k.schedule(rand.New(rand.NewPCG(seed, 1)), length) }
			p := draw()
			if !reflect.DeepEqual(p, draw()) {
				t.Fatalf("%s, seed %d: two plans", k.name, seed)
			}
			ends := make(map[trouble]time.Duration)
			for _, s := range p {
				if s.from < 0 || s.to > length || s.from >= s.to {
					t.Errorf("%s, seed %d: from %v to %v in a run of %v", k.name, seed, s.from, s.to, length)
				}
				if s.from < ends[s.trouble] {
					t.Errorf("%s, seed %d: a spell begins at %v, before the last has ended", k.name, seed, s.from)
				}
				ends[s.trouble] = s.to
			}
			if len(ends) != len(k.troubles) {
				t.Errorf("%s, %v: %d of %d troubles come", k.name, length, len(ends), len(k.troubles))
			}
		}
	}
}
