package main

import "time"

// phase is a time of one load.
type phase struct {
	name  string
	rate  int // calls a second
	lasts time.Duration
}

func (p phase) calls() int { return int(p.lasts.Seconds()*float64(p.rate) + 0.5) }

// course is how the load goes, a phase after the other.
type course []phase

// The places of the phases.
const (
	calm = iota
	overload
	after
)

// courseOf is a run of the given length: for two fifths of it the server is asked for three times what it can do.
func courseOf(length time.Duration) course {
	return course{
		calm:     {"calm", capacity * 7 / 10, length / 5},
		overload: {"overload", capacity * 3, length * 2 / 5},
		after:    {"after", capacity * 7 / 10, length - length/5 - length*2/5},
	}
}

func (c course) length() (all time.Duration) {
	for _, p := range c {
		all += p.lasts
	}
	return all
}

func (c course) calls() (all int) {
	for _, p := range c {
		all += p.calls()
	}
	return all
}

// due is when call i is to be made, counted from the start. After the last call it is the end.
func (c course) due(i int) (due time.Duration) {
	for _, p := range c {
		if i < p.calls() {
			return due + steady(p.rate)(i)
		}
		i -= p.calls()
		due += p.lasts
	}
	return due
}

// stretches are the phases, as far as a run went.
func (c course) stretches(reached time.Duration) (phases []stretch) {
	from := time.Duration(0)
	for _, p := range c {
		phases = append(phases, stretch{from: from, to: min(from+p.lasts, reached)})
		from += p.lasts
	}
	return phases
}
