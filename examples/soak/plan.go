package main

import (
	"math/rand/v2"
	"strings"
)

// kinds are the policies of a stack. Every order of them is a stack of its own.
var kinds = []string{"retry", "breaker", "bulkhead", "hedge", "failover"}

// orders are all orders of the kinds.
var orders = permutations(kinds)

func permutations(of []string) (all [][]string) {
	if len(of) == 0 {
		return [][]string{nil}
	}
	for i, first := range of {
		rest := append(append([]string(nil), of[:i]...), of[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]string{first}, p...))
		}
	}
	return all
}

// combination is an order and a fault, in one pass through all of them. Number and pass, with the seed, decide all that is
// left to chance in it.
type combination struct {
	order  []string // the outermost first
	fault  *fault
	number int // among all combinations
	pass   int // from 0
}

func combinations() (all []combination) {
	for _, order := range orders {
		for i := range faults {
			all = append(all, combination{order: order, fault: &faults[i], number: len(all)})
		}
	}
	return all
}

// String is the name of a combination: it fits -only.
func (c combination) String() string { return strings.Join(c.order, "-") + "/" + c.fault.String() }

// random is the chance of the combination.
func (c combination) random(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(c.pass)<<32|uint64(c.number)))
}

// matching are the combinations with this in their names; if it is the whole name of one, that.
func matching(part string) (all []combination) {
	for _, c := range combinations() {
		name := c.String()
		if name == part {
			return []combination{c}
		}
		if strings.Contains(name, part) {
			all = append(all, c)
		}
	}
	return all
}

// plan is which combinations are run, in which order: all of them, and then again, each pass in an order of its own.
type plan struct {
	seed   uint64
	all    []combination
	passes int // begun
	left   []combination
}

func newPlan(seed uint64, only string) *plan { return &plan{seed: seed, all: matching(only)} }

// next is the next combination.
func (p *plan) next() combination {
	if len(p.left) == 0 {
		p.left = make([]combination, len(p.all))
		random := rand.New(rand.NewPCG(p.seed, ^uint64(p.passes)))
		for i, j := range random.Perm(len(p.all)) {
			p.left[i] = p.all[j]
			p.left[i].pass = p.passes
		}
		p.passes++
	}
	c := p.left[0]
	p.left = p.left[1:]
	return c
}
