package failover

import (
	"context"
	"math"
)

type keyKey struct{}

// WithKey returns a context whose calls stick to one target: the same for the same key, as long as it is healthy and not
// loaded more than a quarter above the average; and only the keys of a target that goes, or comes, are moved. The choice is
// the same in every process. (Rendezvous hashing: Thaler and Ravishankar 1996; bounded load: Mirrokni et al. 2016.)
//
// It takes the place of the Balance. It looks at each target of the level: 10 to 20 ns for each.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyKey{}, key)
}

// keyOf returns the hash of the key of ctx; 0: there is none.
func keyOf(ctx context.Context) uint64 {
	key, _ := ctx.Value(keyKey{}).(string)
	if key == "" {
		return 0
	}
	return hashOf(key) | 1
}

// mostLoad of the average is what a target may have under way before its keys go elsewhere.
const mostLoad = 1.25

// stuck takes the target of a key: of those that have room, the one with the highest score.
func (p *pool) stuck(key uint64, now int64) *target {
	underWay, weights := 1.0, 0.0 // the call itself
	for _, t := range p.targets {
		underWay += float64(t.inFlight.load())
		weights += t.weight
	}
	var best, fit *target
	bestScore, fitScore := math.Inf(-1), math.Inf(-1)
	for _, t := range p.targets {
		score := t.score(key)
		if score > bestScore {
			best, bestScore = t, score
		}
		room := math.Ceil(mostLoad * underWay * t.weight / weights)
		if score > fitScore && float64(t.inFlight.load()) < room && !p.set.coolFor(t, key, now) && !p.set.suspect(t, now) {
			fit, fitScore = t, score
		}
	}
	if fit == nil {
		return best
	}
	return fit
}

// coolFor is what fit is for calls without a key: while a target is slow to start, the share of keys that it does not have
// yet is the same share all the time.
func (s *settings) coolFor(t *target, key uint64, now int64) bool {
	share := s.warmth(t, now)
	return share < 1 && unit(mix(key^t.hash+1)) > share
}

// score is how well a key and a target go together: a share of keys in proportion to the weight has its highest score
// here. (Weighted rendezvous hashing: Schindelhauer and Schomaker 2005.)
func (t *target) score(key uint64) float64 { return t.weight / -math.Log(unit(mix(key^t.hash))) }

// unit makes 64 random bits a number between 0 and 1, neither included.
func unit(h uint64) float64 { return (float64(h>>11) + 0.5) / (1 << 53) }

// hashOf is FNV-1a with its bits well mixed. It is the same in each process and each release.
func hashOf(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
