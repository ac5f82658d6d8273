package hedge_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// The published experiments E1, E3 and E4, each in its own file: go test -run Experiment -v ./hedge prints their tables.
//
// Every table has three columns: what was published, the same model re-run without holdfast, and with holdfast.
// The times are virtual (testing/synctest), the chance is seeded, and what shares anything happens at different instants, so
// a run gives the same numbers again.

// experimentSeeds is how often each experiment is run; the tables print the least and the most of them.
const experimentSeeds = 5

func isReduced() bool { return raceEnabled || testing.Short() }

// overSeeds runs each(seed) for every seed, as many at a time as there are processors.
func overSeeds(each func(seed uint64)) {
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range experimentSeeds {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			each(uint64(i + 1))
		})
	}
	all.Wait()
}

// inBubbles is overSeeds with a bubble, and so a virtual clock, for each.
func inBubbles(t *testing.T, each func(t *testing.T, seed uint64)) {
	t.Helper()
	overSeeds(func(seed uint64) {
		synctest.Test(t, func(t *testing.T) { each(t, seed) })
	})
}

// attemptsOf is how long each attempt of one call takes, the first attempt the first.
type attemptsOf func(attempt int) time.Duration

// hedged makes a call whose attempts take that long.
func hedged(ctx context.Context, p *hedge.Policy, takes attemptsOf) error {
	return p.Run(ctx, func(ctx context.Context) error {
		timer := time.NewTimer(takes(hedge.AttemptFrom(ctx)))
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
			if err := hedged(t.Context(), p, takes); err != nil {
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
type tail struct{ p95, p99, p999, extra seedSpan }

func (s *tail) add(took []time.Duration, extra float64) {
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[int(math.Ceil(q*float64(len(took))))-1]) / 1e6
	}
	s.p95.add(at(0.95))
	s.p99.add(at(0.99))
	s.p999.add(at(0.999))
	s.extra.add(100 * extra)
}

// seedSpan is the least and the most of a number over the seeds.
type seedSpan struct {
	mu          sync.Mutex
	known       bool
	least, most float64
}

func (s *seedSpan) add(x float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		s.known, s.least, s.most = true, x, x
	}
	s.least, s.most = min(s.least, x), max(s.most, x)
}

// in prints the span, each end by format.
func (s *seedSpan) in(format string) string {
	least, most := fmt.Sprintf(format, s.least), fmt.Sprintf(format, s.most)
	if least == most {
		return least
	}
	return least + " to " + most
}

func (s *seedSpan) atMost(t *testing.T, what string, limit float64) {
	t.Helper()
	if !s.known || s.most > limit {
		t.Errorf("%s: %g to %g, want at most %g for every seed", what, s.least, s.most, limit)
	}
}

func (s *seedSpan) atLeast(t *testing.T, what string, limit float64) {
	t.Helper()
	if !s.known || s.least < limit {
		t.Errorf("%s: %g to %g, want at least %g for every seed", what, s.least, s.most, limit)
	}
}

// resultTable is what an experiment prints.
type resultTable struct {
	text  strings.Builder
	table *tabwriter.Writer
	began time.Time
}

func newResultTable(title string, columns ...string) *resultTable {
	r := &resultTable{began: time.Now()}
	fmt.Fprintf(&r.text, "\n%s\n\n", title)
	r.table = tabwriter.NewWriter(&r.text, 0, 0, 1, ' ', 0)
	r.row(columns...)
	for i, c := range columns {
		columns[i] = strings.Repeat("-", len(c))
	}
	r.row(columns...)
	return r
}

func (r *resultTable) row(cells ...string) {
	fmt.Fprintf(r.table, "  %s\n", strings.Join(cells, "\t| "))
}

// print prints the table with notes under it.
func (r *resultTable) print(t *testing.T, notes string) {
	t.Helper()
	if err := r.table.Flush(); err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&r.text, "\n%s\nReal time: %.1f s.\n", strings.TrimSpace(notes), time.Since(r.began).Seconds())
	if isReduced() {
		r.text.WriteString("Reduced, by -short or by the race detector: without them there are more runs, and longer ones.\n")
	}
	t.Log(r.text.String())
}
