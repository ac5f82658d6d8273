package bulkhead

import "math"

// climb is for a limit that is too low by far.
type climb struct {
	factor float64 // the limit's, each window; 0: no climb
	kneeOf float64 // what the knee rests on if the climb ends at once
}

// lifts adds lifts up until they say whether latency grows.
type lifts struct {
	calls float64
	grown float64 // the sum of the log of latency over base
	due   float64 // what that is if the knee is where it is thought to be
}

// depth is where a sounding has come to.
type depth struct{ first, last sample }

// sample is a limit, and the log of its latency.
type sample struct{ limit, log float64 }

const (
	// climbFast is for a limit that may be anything, climbAgain for one that was right until lifts found no queue.
	climbFast  = 1.5
	climbAgain = 1.25
	// To climb, lifts must have grown less than climbBelow of half of what is due, by climbSure deviations.
	climbBelow = 0.7
	climbSure  = 2.0
	// liftMemory is after how many calls lifts that say neither are forgotten.
	liftMemory = 3000.0
	useMemory  = 500.0
	// farthest is by how much one lift moves the knee at most, as a logarithm.
	farthest = 0.5

	// deeper is the part of the limit's fall that latency's must be for the sounding to go on. It is 1 within a queue, 0
	// below the knee.
	deeper = 0.4
)

// climbBy goes up by the factor while there is no queue.
func (s *search) climbBy(factor, kneeOf float64) {
	s.climb = climb{factor, kneeOf}
	s.trial = lift
}

// lifted is for windows above the knee.
func (s *search) lifted(r reading) {
	d := r.log - s.base
	if !r.pressed { // what was above the knee is not known, and a limit that does not bind is not to rise
		s.climb = climb{}
		return
	}
	if s.at <= s.knee || d < -max(0.05, 2*s.noise(r.calls, s.baseOf)) { // at Max; or faster than the base: a dip will tell
		s.trial = dip
		return
	}
	s.use += (min(liftTo, r.inflight/s.at) - s.use) * r.calls / (r.calls + useMemory)
	if s.climb.factor == 0 {
		s.weigh(r, d)
	}
	if s.learning() {
		s.trial = dip
	}
	s.lifts.calls += r.calls
	s.lifts.grown += d * r.calls
	s.lifts.due += math.Log(s.at/s.knee) * s.gain() * r.calls
	if s.climb.factor > 0 {
		s.climbed(r, d)
		return
	}
	mean, half := s.lifts.grown/s.lifts.calls, s.lifts.due/s.lifts.calls/2
	doubt := climbSure * s.noise(s.lifts.calls, s.baseOf)
	switch {
	case mean+doubt < half*climbBelow: // there is no queue
		s.climbBy(climbAgain, min(s.kneeOf, kneeMemory/2))
		s.lifts = lifts{}
	case mean-doubt > half, s.lifts.calls > liftMemory:
		s.lifts = lifts{}
	}
}

// climbed is for each window of a climb.
func (s *search) climbed(r reading, d float64) {
	noQueue := s.lifts.grown < s.lifts.due/2
	s.lifts = lifts{}
	switch {
	case noQueue && s.at < s.max:
		s.knee = s.at
		s.climbBy(s.climb.factor, 0)
	case noQueue:
		s.knee, s.climb, s.trial = s.at, climb{}, even
	default:
		s.kneeOf, s.climb, s.trial = s.climb.kneeOf, climb{}, dip
		s.weigh(r, d)
	}
}

// weigh moves the knee to where a lift says that it is, in proportion to the calls of both. It is a lift's that counts, and
// no latency at the knee: there the queue is short, and comes and goes by chance.
func (s *search) weigh(r reading, d float64) {
	lifted := math.Log(max(1, s.at*min(1, s.use)/s.knee))
	off := max(-farthest, min(farthest, d/s.gain()-lifted)) // how much too high the knee is
	s.knee *= math.Exp(-off * r.calls / (r.calls + s.kneeOf))
	s.kneeOf = min(s.kneeOf+r.calls, kneeMemory)
}

// sound begins a sounding, from the limit in force.
func (s *search) sound(r reading) {
	here := sample{s.at, r.log}
	s.trial, s.depth = sound, depth{first: here, last: here}
}

// sounded is for each window of a sounding.
func (s *search) sounded(r reading) {
	s.lifts = lifts{}
	here, first, known := sample{s.at, r.log}, s.depth.first, s.baseOf > 0
	switch {
	case known && r.log-s.base < max(0.1, 2*s.noise(r.calls, s.baseOf)): // it was a queue, and has gone
		s.knee, s.kneeOf = min(max(s.at, s.kneeFrom(first)), s.depth.last.limit), 0
		s.climbBy(climbAgain, 0)
	case here.fall(s.depth.last) > deeper && s.at > s.min: // there still is a queue
		s.depth.last = here
		s.trial = sound
	default: // this is latency without a queue
		s.base, s.baseOf = r.log, r.calls
		if known && here.fall(first) < 0.5 { // nor was there one: the knee is where it was
			return
		}
		s.knee, s.kneeOf = min(first.limit, max(s.at, s.kneeFrom(first))), 0
		s.climbBy(climbFast, 0)
	}
}

// fall is by how much latency has fallen, in proportion to the limit.
func (s sample) fall(from sample) float64 {
	return (from.log - s.log) / math.Log(max(1.1, from.limit/s.limit))
}

// kneeFrom is the knee, by the latency at a limit far above it and the base.
func (s *search) kneeFrom(above sample) float64 {
	return above.limit * math.Exp(min(0, s.base-above.log)/s.gain())
}
