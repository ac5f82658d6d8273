package bulkhead_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"
)

// The published experiments E11 to E13, each in its own file: go test -run Experiment -v ./bulkhead prints their tables.
//
// Every table has three columns: what was published, the same model re-run without holdfast, and with holdfast.
// The times are virtual (testing/synctest), and the chance is seeded.

// experimentSeeds is how often each experiment is run; the tables print the least and the most of them.
const experimentSeeds = 5

// fewer is full, or less where a full run would take too long: with the race detector, and under -short.
func fewer(full, reduced int) int {
	if isReduced() {
		return reduced
	}
	return full
}

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
func inBubbles(t *testing.T, each func(seed uint64)) {
	t.Helper()
	overSeeds(func(seed uint64) {
		synctest.Test(t, func(*testing.T) { each(seed) })
	})
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
