package hedge_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// times draws how long an attempt takes; i is the number of its call.
type times func(i int, random *rand.Rand) time.Duration

func constant(d time.Duration) times {
	return func(int, *rand.Rand) time.Duration { return d }
}

// bimodal is slow for that share of attempts.
func bimodal(quick, slow time.Duration, share float64) times {
	return func(_ int, random *rand.Rand) time.Duration {
		if random.Float64() < share {
			return slow
		}
		return quick
	}
}

func lognormal(median time.Duration, sigma float64) times {
	return func(_ int, random *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*random.NormFloat64()))
	}
}

// pareto has a heavy tail: for an alpha of 1 and below, not even a mean.
func pareto(least time.Duration, alpha float64) times {
	return func(_ int, random *rand.Rand) time.Duration {
		return time.Duration(min(float64(least)*math.Pow(1-random.Float64(), -1/alpha), float64(time.Minute)))
	}
}

// then changes over at the call with that number.
func then(a times, at int, b times) times {
	return func(i int, random *rand.Rand) time.Duration {
		if i < at {
			return a(i, random)
		}
		return b(i, random)
	}
}

func slower(a times, times int) times {
	return func(i int, random *rand.Rand) time.Duration { return time.Duration(times) * a(i, random) }
}

// calls makes the calls from number from up to number to, one after the other, and returns what the policy did meanwhile.
func calls(t *testing.T, p *hedge.Policy, from, to int, l times) hedge.Snapshot {
	t.Helper()
	before := p.Snapshot()
	random := rand.New(rand.NewPCG(uint64(from), 3))
	for i := from; i < to; i++ {
		var takes [11]time.Duration
		for a := range takes {
			takes[a] = l(i, random)
		}
		_, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			n := hedge.AttemptFrom(ctx)
			select {
			case <-time.After(takes[n-1]):
			case <-ctx.Done():
			}
			return n, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	s := p.Snapshot()
	s.Calls -= before.Calls
	s.Hedges -= before.Hedges
	s.Wins -= before.Wins
	return s
}
