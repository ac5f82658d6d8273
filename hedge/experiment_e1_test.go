package hedge_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// TestExperimentE1 is hedged reads of many keys (Dean and Barroso, The Tail at Scale, CACM 2013).
//
// The model. A caller reads 1,000 keys at once, and has to wait for the last of them. They are on 100 servers, three
// replicas each; how long a read takes depends neither on the server nor on the other reads: 1.25 ms + LN(-1.8825, 1.9728), a
// fit that gives the three published numbers. The published form sends a read again, to another replica, when there
// was no answer for 10 ms.
//
// With holdfast each key is read in a goroutine, by one call of Policy.Run: an attempt is a read from one more
// replica. The caller reads the next thousand 100 ms after it has the last.
func TestExperimentE1(t *testing.T) {
	reads, plain := experiment.Fewer(1_000, 20), experiment.Fewer(10_000, 200)
	config := hedge.Config{Delay: 10 * ms, MaxHedges: 2, MaxExtraLoad: 0.05}
	none, once, twice, holdfast := new(tail), new(tail), new(tail), new(tail)
	r := experiment.NewTable(
		fmt.Sprintf("E1: time until all of 1,000 keys are read, %d times, and %d times with holdfast; least and most of %d seeds", plain, reads, experiment.Seeds),
		"", "published", "re-run, no hedge", "re-run, a hedge after 10 ms", "re-run, another after 20 ms", "with holdfast",
	)
	experiment.OverSeeds(func(seed uint64) {
		took, extra := plainE1(seed, plain)
		for i, of := range []*tail{none, once, twice} {
			of.add(took[i], extra[i])
		}
	})
	experiment.InBubbles(t, func(t *testing.T, seed uint64) { holdfast.add(holdfastE1(t, seed, reads, config)) })
	for _, row := range []struct {
		name, published string
		of              func(*tail) string
	}{
		{"p99, ms", "-", func(s *tail) string { return s.p99.In("%.1f") }},
		{"p99.9, ms", "1800 -> 74", func(s *tail) string { return s.p999.In("%.1f") }},
		{"more reads", "+2 %", func(s *tail) string { return s.extra.In("+%.3f") + " %" }},
	} {
		r.Row(row.name, row.published, row.of(none), row.of(once), row.of(twice), row.of(holdfast))
	}
	if !experiment.Reduced() {
		none.p999.AtLeast(t, "no hedge: p99.9", 1400)
		once.p999.AtLeast(t, "one hedge: p99.9", 60)
	}
	r.AtMost(t, "p99.9, ms", &holdfast.p999, 30)
	r.AtMost(t, "more reads, percent", &holdfast.extra, 2.1)
	r.Chart(record.Chart{
		Name: "e1-quantiles", Title: "E1: time until all of 1,000 keys are read", XLabel: "quantile", YLabel: "ms", OfQuantiles: true, LogY: true,
		Series: []record.Series{none.line("no hedge"), once.line("a hedge after 10 ms"), holdfast.line("holdfast, another after 20 ms")},
	})
	r.Print(t, `
Goal: p99.9 of at most 30 ms, with at most 2.1 % more reads.
With holdfast: Config{Delay: 10 * time.Millisecond, MaxHedges: 2, MaxExtraLoad: 0.05}.`)
}

func drawE1(rng *rand.Rand) time.Duration {
	return time.Duration((1.25 + math.Exp(-1.8825+1.9728*rng.NormFloat64())) * 1e6)
}

const keysE1 = 1000

// plainE1 has the same reads with no hedge, with one and with two.
func plainE1(seed uint64, reads int) (took [3][]time.Duration, extra [3]float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	more := [3]int{}
	for range reads {
		var slowest [3]time.Duration
		for range keysE1 {
			d := drawE1(rng)
			slowest[0] = max(slowest[0], d)
			for hedges := 1; hedges < 3; hedges++ {
				if start := time.Duration(hedges) * 10 * ms; d > start {
					d = min(d, start+drawE1(rng))
					for i := hedges; i < 3; i++ {
						more[i]++
					}
				}
				slowest[hedges] = max(slowest[hedges], d)
			}
		}
		for i := range took {
			took[i] = append(took[i], slowest[i])
			extra[i] = float64(more[i]) / float64(reads*keysE1)
		}
	}
	return took, extra
}

func holdfastE1(t *testing.T, seed uint64, reads int, config hedge.Config) (took []time.Duration, extra float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := hedge.MustNew(config)
	keys := make(chan [3]time.Duration, keysE1)
	defer close(keys)
	var all sync.WaitGroup
	for range keysE1 { // each reads one key after the other, which costs less real time than a new goroutine each
		go func() {
			for takes := range keys {
				if err := hedged(context.Background(), p, config.Delay, func(attempt int) time.Duration { return takes[attempt-1] }); err != nil {
					t.Error(err)
				}
				all.Done()
			}
		}()
	}
	for range reads {
		start := time.Now()
		all.Add(keysE1)
		for range keysE1 {
			keys <- [3]time.Duration{drawE1(rng), drawE1(rng), drawE1(rng)}
		}
		all.Wait()
		took = append(took, time.Since(start))
		time.Sleep(100 * ms)
	}
	s := p.Snapshot()
	return took, s.HedgeShare()
}
