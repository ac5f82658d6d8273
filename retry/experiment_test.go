package retry_test

import (
	"math/rand/v2"
	"sync"
)

// The published experiments E5 to E9, each in its own file: go test -run Experiment -v ./retry prints their tables.
// No two goroutines of a simulation act on anything shared at the same instant, so a run gives the same numbers again, with
// -race too.

// dice are random numbers for the goroutines of one simulation.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed, stream uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, stream))} }

func (d *dice) Float64() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64()
}

func (d *dice) NormFloat64() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.NormFloat64()
}
