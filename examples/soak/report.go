package main

import (
	"fmt"
	"text/tabwriter"
	"time"
)

// tally is what came of all calls.
type tally struct {
	done       map[int]bool // combinations, by their number
	runs       int
	lines      map[string]*line // by fault
	violations int
	lag        time.Duration
}

// line is what came of the calls under one fault.
type line struct {
	runs, calls int
	struck      uint64 // how often the fault has
	requests    int64  // that calls have sent
	outcomes    [outcomes]int
	latest      time.Duration
	violations  int
}

func newTally() *tally { return &tally{done: make(map[int]bool), lines: make(map[string]*line)} }

func (t *tally) add(w *world, violations int) {
	t.done[w.number] = true
	t.runs++
	t.violations += violations
	l := t.lines[w.fault.String()]
	if l == nil {
		l = &line{latest: -time.Hour}
		t.lines[w.fault.String()] = l
	}
	l.runs++
	l.violations += violations
	l.struck += w.struck
	for _, c := range w.calls {
		l.add(c)
	}
}

func (l *line) add(c *call) {
	l.calls++
	l.requests += c.sent.Load()
	if !c.returned.Load() {
		return // into no column
	}
	l.outcomes[c.outcome]++
	l.latest = max(l.latest, c.late)
}

// sum is the line of all faults.
func (t *tally) sum() (all line) {
	all.latest = -time.Hour
	for _, l := range t.lines {
		all.runs += l.runs
		all.calls += l.calls
		all.struck += l.struck
		all.requests += l.requests
		for i, n := range l.outcomes {
			all.outcomes[i] += n
		}
		all.latest = max(all.latest, l.latest)
		all.violations += l.violations
	}
	return all
}

// report prints a table by fault, and what it comes to.
func (s *soak) report() {
	fmt.Fprintln(s.out)
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "fault\truns\tstruck\tcalls\trequests\tsuccesses\tfailures\tignored\trefused\tlatest\tviolations\t")
	for _, name := range faultNames() {
		if l := s.tally.lines[name]; l != nil {
			l.print(table, name)
		}
	}
	all := s.tally.sum()
	all.print(table, "all")
	table.Flush()
	fmt.Fprintf(s.out, "\n%d of %d combinations were run, %d times in all, in %v: %d calls, %d violations.\n",
		len(s.tally.done), len(s.plan.all), s.tally.runs, time.Since(s.began).Round(100*ms), all.calls, all.violations)
	fmt.Fprintf(s.out, "latest: after the call's context had ended. The bound is %v, and %d times what a plain sleep was late: at most %v.\n",
		s.late, lags, s.tally.lag.Round(ms/10))
	if left := len(s.plan.all) - len(s.tally.done); left > 0 {
		fmt.Fprintf(s.out, "%d combinations were not run: they need more time, or another seed.\n", left)
	}
}

func (l *line) print(table *tabwriter.Writer, name string) {
	late := "none"
	if l.latest > 0 {
		late = l.latest.Round(ms / 10).String()
	}
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t\n", name, l.runs, l.struck, l.calls, l.requests,
		l.outcomes[success], l.outcomes[failure], l.outcomes[ignored], l.outcomes[refused], late, l.violations)
}

// progress says now and then how far it is.
type progress struct {
	every time.Duration
	last  time.Time
}

func (p *progress) tell(s *soak) {
	if time.Since(p.last) < p.every {
		return
	}
	p.last = time.Now()
	all := s.tally.sum()
	fmt.Fprintf(s.out, "%4.0fs  %5d of %d combinations  %6d calls  %d violations\n",
		time.Since(s.began).Seconds(), len(s.tally.done), len(s.plan.all), all.calls, all.violations)
}
