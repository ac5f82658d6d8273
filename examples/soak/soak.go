package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
)

// soak is a run.
type soak struct {
	options
	out   io.Writer
	plan  *plan
	sites []*site
	lag   *lag
	base  int // goroutines while nothing happens

	began time.Time
	tally *tally
	over  bool // it cannot go on
}

// enough complaints are as good as more.
const enough = 20

// run is the whole soak. The error says that something was not as it should be.
func run(ctx context.Context, out io.Writer, o options) error {
	s := &soak{options: o, out: out, plan: newPlan(o.seed, o.only), tally: newTally(), began: time.Now()}
	if err := s.open(); err != nil {
		s.close()
		return err
	}
	defer s.close()
	fmt.Fprintf(out, "%d orders of %d policies, %d faults and none: %d combinations. Seed %d, for %v.\n",
		len(orders), len(kinds), len(faults)-1, len(s.plan.all), o.seed, o.duration)
	p := progress{every: min(max(o.duration/12, time.Second), 10*time.Second), last: s.began}
	for first := true; (first || time.Since(s.began) < o.duration) && ctx.Err() == nil && !s.over; first = false {
		if err := s.round(ctx); err != nil {
			return err
		}
		p.tell(s)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "Interrupted: this is what there was by then.")
	}
	s.report()
	return s.verdict()
}

// verdict is the error of a soak that has found something.
func (s *soak) verdict() error {
	if s.tally.violations > 0 {
		return errors.New("something was not as it should be")
	}
	return nil
}

func (s *soak) open() error {
	for range s.atOnce {
		at, err := openSite()
		if err != nil {
			return err
		}
		s.sites = append(s.sites, at)
	}
	s.lag = measureLag()
	s.base = settledGoroutines()
	return nil
}

func (s *soak) close() {
	for _, at := range s.sites {
		at.close()
	}
	if s.lag != nil {
		s.lag.close()
	}
}

// turns are how many combinations are run at each site, one after the other, before it is looked whether all is as it was: if
// all sites began each combination together, the machine would have too much to do, and then nothing.
const turns = 4

// round runs combinations at all sites, and then looks whether all is as it was before.
func (s *soak) round(ctx context.Context) error {
	next := make([][turns]combination, len(s.sites))
	for turn := range turns {
		for i := range next {
			next[i][turn] = s.plan.next()
		}
	}
	runs := make([]siteRun, len(s.sites))
	var all sync.WaitGroup
	for i, at := range s.sites {
		all.Go(func() { runs[i] = s.runAt(ctx, at, next[i]) })
	}
	all.Wait()

	var worlds []*world
	for _, r := range runs {
		if r.err != nil {
			return r.err
		}
		worlds = append(worlds, r.worlds...)
		s.over = s.over || r.unsettled // what is left of it would be in the way of others
	}
	s.judgeTimes(worlds)
	s.judgeGoroutines(worlds)
	for _, w := range worlds {
		s.conclude(w)
	}
	return nil
}

// siteRun is what was run at a site in one round.
type siteRun struct {
	worlds    []*world
	unsettled bool // the last one
	err       error
}

// runAt runs combinations at a site, one after the other.
func (s *soak) runAt(ctx context.Context, at *site, cs [turns]combination) (r siteRun) {
	for _, c := range cs {
		if ctx.Err() != nil && len(r.worlds) > 0 {
			return r
		}
		w, err := newWorld(c, s.seed, at)
		if err != nil {
			r.err = fmt.Errorf("%v: %w", c, err)
			return r
		}
		r.worlds = append(r.worlds, w)
		w.began = time.Now()
		r.unsettled = !w.burst()
		w.ended = time.Now()
		if r.unsettled = r.unsettled || !w.settle(); r.unsettled {
			return r
		}
	}
	return r
}

// judgeTimes complains of calls that returned too late. How late is too late depends on how late the machine was.
func (s *soak) judgeTimes(worlds []*world) {
	for _, w := range worlds {
		worst := s.lag.worst(w.began, w.ended)
		s.tally.lag = max(s.tally.lag, worst)
		for _, c := range w.calls {
			if bound := s.late + lags*worst; c.returned.Load() && c.late > bound+c.allowed {
				w.complain("%s: it returned %v after its context had ended, and the bound is %v (a plain sleep was %v late)",
					c, c.late.Round(ms), bound.Round(ms), worst.Round(ms))
			}
		}
	}
	s.lag.forget()
}

// lags is how many times as late as a plain sleep a call may be in any case: its end goes through several goroutines, and each
// waits for its turn.
const lags = 10

// judgeGoroutines waits until as many are there as at the start.
func (s *soak) judgeGoroutines(worlds []*world) {
	end := time.Now().Add(longest)
	for runtime.NumGoroutine() > s.base {
		if time.Now().After(end) {
			s.blame(worlds)
			s.over = true
			return
		}
		for _, w := range worlds {
			w.closeIdle() // of connections that were only being made when it came to rest
		}
		time.Sleep(ms)
	}
}

// conclude takes what came of a world into the tally, and tells of complaints.
func (s *soak) conclude(w *world) {
	complaints := w.complaints.list()
	s.tally.add(w, len(complaints))
	for _, text := range complaints {
		fmt.Fprintf(s.out, "\nVIOLATION in %s, pass %d, seed %d: %s\n", w, w.pass, s.seed, text)
	}
	if len(complaints) > 0 {
		fmt.Fprintf(s.out, "Again: %s\n", s.again(w))
	}
	if s.tally.violations >= enough {
		s.over = true
	}
}

// again is the command line that looks for what was found in a world: with a time in which one combination comes to its pass, and
// some passes more, and with all that the soak was told to do otherwise.
func (s *soak) again(w *world) string {
	takes := max(10*time.Second, time.Duration(w.pass/s.atOnce/turns+1)*2*time.Second)
	line := fmt.Sprintf("go run ./examples/soak -duration %v -seed %d", takes, s.seed)
	if s.late != defaults().late {
		line += fmt.Sprintf(" -late %v", s.late)
	}
	if s.atOnce != defaults().atOnce {
		line += fmt.Sprintf(" -at-once %d", s.atOnce)
	}
	return line + " -only " + w.String()
}
