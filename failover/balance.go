package failover

import (
	"fmt"
	"math/rand/v2"
)

// Balance is how one of several targets of a level is chosen.
type Balance uint8

// The ways to choose.
const (
	// Ordered takes the first that is healthy, in the order of Config.Targets: a primary, and those that stand by.
	Ordered Balance = iota

	// RoundRobin takes one after the other, each as often as its Weight says, and the turns of a heavy one spread out.
	RoundRobin

	// LeastLoaded takes of two at random the one with fewer calls under way for its Weight. (The power of two choices:
	// Mitzenmacher 1996.)
	LeastLoaded

	// PeakEWMA takes of two at random the one where a call is likely to take less time: a moving average of its
	// latencies that rises at once and falls slowly, times the calls under way. A failure counts as a long one, however
	// fast it came. (Finagle's, 2016.)
	PeakEWMA

	balances
)

var balanceNames = [balances]string{"ordered", "round_robin", "least_loaded", "peak_ewma"}

func (b Balance) String() string {
	if b < balances {
		return balanceNames[b]
	}
	return fmt.Sprintf("Balance(%d)", uint8(b))
}

// MarshalText writes the balance as String has it.
func (b Balance) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (b *Balance) UnmarshalText(text []byte) error {
	for i, name := range balanceNames {
		if name == string(text) {
			*b = Balance(i)
			return nil
		}
	}
	return fmt.Errorf("balance %q: want ordered, round_robin, least_loaded or peak_ewma", text)
}

// choose takes one of a pool, which has at least one.
func (g *core) choose(p *pool, now int64) *target {
	if len(p.targets) == 1 {
		return p.targets[0]
	}
	switch p.set.balance {
	case RoundRobin:
		return g.inTurn(p, now)
	case LeastLoaded:
		a, b := p.twoFit(now)
		if b.busy() < a.busy() {
			return b
		}
		return a
	case PeakEWMA:
		a, b := p.twoFit(now)
		if b.price(now) < a.price(now) {
			return b
		}
		return a
	default:
		return p.inOrder(now)
	}
}

func (p *pool) inOrder(now int64) *target {
	if !p.watched {
		return p.targets[0]
	}
	for _, t := range p.targets {
		if p.set.fit(t, now) {
			return t
		}
	}
	return p.targets[0]
}

// inTurn takes the next. Where weights differ it passes a light one over in some of the rounds, in each another one: the
// heaviest has a turn in each round. (gRPC's static stride scheduler.)
func (g *core) inTurn(p *pool, now int64) *target {
	n := uint64(len(p.targets))
	for range 4 * n {
		turn := g.turn.Ticket()
		i, round := turn%n, turn/n
		t := p.targets[i]
		if p.strides != nil {
			if w := p.strides[i]; (round*w+i*(longestStride/2))%longestStride < longestStride-w {
				continue
			}
		}
		if !p.watched || p.set.fit(t, now) {
			return t
		}
	}
	return p.any(now)
}

// any returns one at random, one that is fit if it finds any.
func (p *pool) any(now int64) *target {
	first := p.draw(rand.Uint32())
	for i := range p.targets {
		if t := p.targets[(first+i)%len(p.targets)]; p.set.fit(t, now) {
			return t
		}
	}
	return p.targets[first]
}

// twoFit returns two of a pool at random: different ones if they are fit to be chosen.
func (p *pool) twoFit(now int64) (a, b *target) {
	for range 8 {
		a, b = p.two()
		if !p.watched {
			return a, b
		}
		fitA, fitB := p.set.fit(a, now), p.set.fit(b, now)
		switch {
		case fitA && fitB:
			return a, b
		case fitA:
			return a, a
		case fitB:
			return b, b
		}
	}
	return p.any(now), p.any(now)
}

// busy is how many calls are under way, for its weight.
func (t *target) busy() float64 { return float64(t.inFlight.load()) / t.weight }

// price is what a call is likely to cost. Of a target that has not answered yet it is nothing, for one call, and more than
// of any other after that: it is tried, but not with all there is.
func (t *target) price(now int64) float64 {
	underWay := float64(t.inFlight.load())
	c := t.cost.at(now)
	if c == 0 && underWay > 0 {
		return (unknownCost + underWay) / t.weight
	}
	return c * (underWay + 1) / t.weight
}
