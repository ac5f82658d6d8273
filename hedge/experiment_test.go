package hedge_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// The published experiments E1, E3 and E4, each in its own file: go test -run Experiment -v ./hedge prints their tables.
// What shares anything happens at different instants, so a run gives the same numbers again.

// attemptsOf is how long each attempt of one call takes, the first attempt the first.
type attemptsOf func(attempt int) time.Duration

// hedged makes a call whose attempts take that long. One that is over before quick, when no other can have begun, does not look
// whether it has lost, which in so many calls is a saving.
func hedged(ctx context.Context, p *hedge.Policy, quick time.Duration, takes attemptsOf) error {
	return p.Run(ctx, func(ctx context.Context) error {
		d := takes(hedge.AttemptFrom(ctx))
		if d < quick {
			time.Sleep(d)
			return nil
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// plainly is a call without a policy, hedged after a fixed delay: how long it takes, and how many attempts it makes. next is
// how long the next attempt takes.
func plainly(next func() time.Duration, delay time.Duration, hedges int) (took time.Duration, attempts int) {
	took, attempts = next(), 1
	for start := delay; attempts <= hedges && took > start; start += delay {
		took = min(took, start+next())
		attempts++
	}
	return took, attempts
}

// openLoop makes n calls by the clock, perSecond on average and at random (Poisson), whether or not those before have
// returned; and returns how long each took.
func openLoop(t *testing.T, p *hedge.Policy, n int, perSecond float64, rng *rand.Rand, draw func() attemptsOf) []time.Duration {
	took := make([]time.Duration, n)
	var all sync.WaitGroup
	for i := range n {
		takes := draw()
		all.Go(func() {
			start := time.Now()
			if err := hedged(context.Background(), p, 0, takes); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(start)
		})
		time.Sleep(time.Duration(rng.ExpFloat64() / perSecond * 1e9))
	}
	all.Wait()
	return took
}

// tail is what the experiments ask of a run: quantiles in ms, and attempts beside the first as a share of the calls, in percent.
type tail struct {
	p95, p99, p999, extra experiment.Span

	mu  sync.Mutex
	all []time.Duration // of all seeds
}

func (s *tail) add(took []time.Duration, extra float64) {
	slices.Sort(took)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, took...)
	at := func(q float64) float64 {
		return float64(took[int(math.Ceil(q*float64(len(took))))-1]) / 1e6
	}
	s.p95.Add(at(0.95))
	s.p99.Add(at(0.99))
	s.p999.Add(at(0.999))
	s.extra.Add(100 * extra)
}

// line is how long calls took, by quantile, over all seeds.
func (s *tail) line(name string) record.Series {
	slices.Sort(s.all)
	r := record.Series{Name: name}
	for at := 0.0; at < 3.05; at += 0.1 {
		q := 1 - math.Pow(10, -at)
		took := s.all[max(0, int(math.Ceil(q*float64(len(s.all))))-1)]
		r.X = append(r.X, math.Round(q*1e6)/1e6)
		r.Y = append(r.Y, math.Round(float64(took)/1e3)/1e3)
	}
	return r
}
