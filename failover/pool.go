package failover

import (
	"math/rand/v2"
	"slices"
)

// pool is what one is chosen from.
type pool struct {
	set     *settings // by which
	targets []*target
	sums    []float64 // of the weights up to each; nil: they are all the same
	strides []uint64  // the weights as shares of the heaviest; likewise
	watched bool      // some may be unfit at the moment
}

const longestStride = 1 << 16

func newPool(set *settings, ts []*target) pool {
	p := pool{set: set, targets: ts, watched: set.watches(ts)}
	if len(ts) < 2 || !slices.ContainsFunc(ts, func(t *target) bool { return t.weight != ts[0].weight }) {
		return p
	}
	heaviest, sum := 0.0, 0.0
	for _, t := range ts {
		heaviest = max(heaviest, t.weight)
	}
	p.sums, p.strides = make([]float64, len(ts)), make([]uint64, len(ts))
	for i, t := range ts {
		sum += t.weight / heaviest // so that no sum is too large
		p.sums[i] = sum
		p.strides[i] = uint64(max(t.weight/heaviest*longestStride, 1))
	}
	return p
}

// draw makes 32 random bits an index, each as often as its weight says.
func (p *pool) draw(r uint32) int {
	n := len(p.targets)
	if p.sums == nil {
		return int(uint64(r) * uint64(n) >> 32)
	}
	i, _ := slices.BinarySearch(p.sums, float64(r)/(1<<32)*p.sums[n-1])
	return min(i, n-1)
}

// two draws two different ones. There must be two.
func (p *pool) two() (a, b *target) {
	n, r := len(p.targets), rand.Uint64()
	i, j := p.draw(uint32(r>>32)), 0
	if p.sums == nil {
		if j = int(r & (1<<32 - 1) * uint64(n-1) >> 32); j >= i {
			j++
		}
	} else if j = p.draw(uint32(r)); j == i {
		j = (i + 1) % n
	}
	return p.targets[i], p.targets[j]
}
