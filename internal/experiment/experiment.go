// Package experiment is what the re-runs of published experiments share: seeds, the least and the most over them, and the
// table that an experiment prints. It is test code.
//
// Every table has what was published, the same model re-run without holdfast, and with holdfast. Times are virtual
// (testing/synctest), and the chance is seeded.
package experiment

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Seeds is how often each experiment is run; the tables print the least and the most of them.
const Seeds = 5

// Reduced reports whether experiments are to be shorter: with the race detector, and under -short.
func Reduced() bool { return raceEnabled || testing.Short() }

// Fewer is full, or less where a full run would take too long.
func Fewer(full, reduced int) int {
	if Reduced() {
		return reduced
	}
	return full
}

// OverSeeds runs each for every seed, as many at a time as there are processors.
func OverSeeds(each func(seed uint64)) {
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range Seeds {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			each(uint64(i + 1))
		})
	}
	all.Wait()
}

// InBubbles is OverSeeds with a bubble, and so a virtual clock, for each.
func InBubbles(t *testing.T, each func(t *testing.T, seed uint64)) {
	t.Helper()
	OverSeeds(func(seed uint64) {
		synctest.Test(t, func(t *testing.T) { each(t, seed) })
	})
}

// Span is the least and the most of a number over the seeds. Any number of goroutines may add to it.
type Span struct {
	mu          sync.Mutex
	known       bool
	least, most float64
}

// Add adds the number of one seed.
func (s *Span) Add(x float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		s.known, s.least, s.most = true, x, x
	}
	s.least, s.most = min(s.least, x), max(s.most, x)
}

// In prints the span, each end by format.
func (s *Span) In(format string) string {
	least, most := fmt.Sprintf(format, s.least), fmt.Sprintf(format, s.most)
	if least == most {
		return least
	}
	return least + " to " + most
}

// Least is the least of them; 0 if there is none.
func (s *Span) Least() float64 { return s.least }

// Most is the most of them; 0 if there is none.
func (s *Span) Most() float64 { return s.most }

// Times is the span with each number multiplied.
func (s *Span) Times(x float64) *Span {
	return &Span{known: s.known, least: x * s.least, most: x * s.most}
}

// AtMost fails the test if any seed was above limit, or is no number. It reports whether none was.
func (s *Span) AtMost(t testing.TB, what string, limit float64) (met bool) {
	t.Helper()
	return s.hold(t, what, s.most <= limit, "at most", limit)
}

// Below fails the test if any seed was at limit or above, or is no number. It reports whether none was.
func (s *Span) Below(t testing.TB, what string, limit float64) (met bool) {
	t.Helper()
	return s.hold(t, what, s.most < limit, "below", limit)
}

// AtLeast fails the test if any seed was below limit, or is no number. It reports whether none was.
func (s *Span) AtLeast(t testing.TB, what string, limit float64) (met bool) {
	t.Helper()
	return s.hold(t, what, s.least >= limit, "at least", limit)
}

// hold fails the test if the numbers are not as they should be, or if there are none.
func (s *Span) hold(t testing.TB, what string, are bool, want string, limit float64) (met bool) {
	t.Helper()
	if met = s.known && are; !met {
		t.Errorf("%s: %g to %g, want %s %g for every seed", what, s.least, s.most, want, limit)
	}
	return met
}
