package bulkhead

import (
	"math"
	"time"
)

// search looks for the knee: the number of calls up to which the dependency works on all of them, and above which the further
// ones only wait within it. Below the knee latency stays what it is without a queue, the base; above, it grows in proportion
// to the limit. So knee = limit * base / latency, as in Vegas and Gradient2 of Netflix's concurrency-limits (limit = limit *
// latency without a queue / latency + allowance). All else is how the base is found.
//
// There the base is the least latency seen, or a long average. Both were tried in E13. A minimum stays what it was when the
// dependency becomes slower: the limit collapses. It is also of the luckiest call, the more so the more latencies differ. A
// long average becomes what latency is: a limit that is too high makes a queue, and with time the queue passes for the base, so
// that the limit creeps up to Max; and when latency falls, the limit does. Neither can tell a queue from a slower dependency,
// since neither ever looks at what happens without the queue. BBR does (Cardwell et al., "BBR: Congestion-Based Congestion
// Control", ACM Queue 2016): it sends less for a moment, so that the queue drains, and measures. So does search, with trials that
// are a window long:
//
//   - dip: somewhat below the knee. The latency there is the base.
//   - lift: somewhat above the knee. How much latency grows says where the knee is; if it does not, the limit climbs, faster and
//     faster, as long as that is so.
//   - sound: far below, and again, for as long as latency falls with the limit. For latency that has leaped: if less
//     in flight brings it down to the base, it was a queue; where it does not fall any more, the dependency is slower,
//     and the base another.
//
// In between, the limit is at the knee, with a small allowance. Logarithms are natural, and of latencies in ns: there, factors are
// differences.
type search struct {
	min, max float64

	knee   float64
	kneeOf float64 // how many calls it rests on, at most kneeMemory
	base   float64 // the log of the latency without a queue
	baseOf float64 // how many calls it rests on, at most baseMemory; 0: there is none
	spread float64 // the deviation of latencies over their mean
	use    float64 // what part of a lifted limit is in use

	at     float64 // the limit in force
	before float64 // the log of the last window's latency
	leaped bool    // the last window's latency had leaped: once may be chance
	calm   float64 // how many calls there were at the knee since the last dip, and
	dipped time.Duration
	noLift time.Duration // no lift until then

	trial trial
	climb climb
	lifts lifts
	depth depth
}

// trial is what the window is for.
type trial uint8

const (
	even  trial = iota // at the knee
	dip                // below it
	lift               // above it
	sound              // far below it
)

// reading is what a window came to.
type reading struct {
	now      time.Duration
	calls    float64
	log      float64 // of the latency
	slowdown float64 // square root of the latency over the last window's
	spread   float64
	inflight float64 // on average
	pressed  bool    // the limit has bound
}

const (
	// allowance is by how much the limit is above the knee, and more than half a call: without a queue, ever, a place
	// that is free waits for its next call.
	allowance = 1.02

	// Windows end with so many calls, for latencies that spread as the exponential distribution does (as their mean); the number
	// goes with the square of the spread, between leastSpread and mostSpread. needed is for windows at the knee, neededTrial for
	// those beside it, which are not to last; and neededSounding for those that may change everything.
	needed         = 100.0
	neededTrial    = 60.0
	neededSounding = 300.0
	leastSpread    = 0.3
	mostSpread     = 1.5
	spreadMemory   = 300.0 // calls

	// Of how many calls the knee and the base are averages. Until they are, trials follow each other; then there is one
	// after calmCalls at the knee, and calmTime.
	kneeMemory = 800.0
	baseMemory = 2000.0
	calmCalls  = 800.0
	calmTime   = time.Second

	// How far from the knee trials go. A knee that rests on fewer than firmKnee calls may be 20 % too high: a dip
	// must be below it all the same.
	dipTo     = 0.85
	dipToSoft = 0.7
	firmKnee  = 400.0
	liftTo    = 1.2
	soundTo   = 0.6

	// leap is by how much latency has to be above the base, as a logarithm, for the search to doubt the base: a
	// queue that the knee's average cannot follow, or a slower dependency.
	leap = 0.25

	// noLiftAfter is for how long an overloaded dependency is spared lifts.
	noLiftAfter = 10 * time.Second
	overloadCut = 0.9
)

func newSearch(least, most, initial int) search {
	at := float64(initial)
	return search{min: float64(least), max: float64(most), knee: at / allowance, at: at, use: 1}
}

// need is how many calls the window needs.
func (s *search) need() float64 {
	share := min(max(s.spread*s.spread, leastSpread), mostSpread)
	if s.baseOf == 0 {
		share = 1 // the spread is not known yet
	}
	switch {
	case s.trial == sound || s.leaped:
		return neededSounding * share
	case s.trial == dip || s.trial == lift:
		return neededTrial * share
	}
	return needed * share
}

// limit decides the limit of the next window.
func (s *search) limit() int {
	s.knee = max(s.min/allowance, min(s.max, s.knee))
	limit := math.Floor(s.knee*allowance + 0.5)
	switch s.trial {
	case dip:
		to := dipTo
		if s.kneeOf < firmKnee {
			to = dipToSoft
		}
		limit = min(math.Floor(s.knee*to+0.5), limit-1)
	case lift:
		limit = max(math.Floor(s.knee*max(liftTo, s.climb.factor)+0.5), limit+1)
	case sound:
		limit = min(math.Floor(s.depth.last.limit*soundTo), s.depth.last.limit-1)
	}
	s.at = max(s.min, min(s.max, limit))
	return int(s.at)
}

// gain is by how much the log of the recorded latency grows when that of the limit does, above the knee. The mean
// latency grows in proportion; the root mean that is recorded does so too if all latencies are alike, and faster if they spread,
// for a queue in front of a call that spreads makes the whole spread less.
func (s *search) gain() float64 { return 1 + 0.45*min(1, s.spread) }

// noise is the deviation of the difference of two logs, of n and of m calls. A fifth is for calls that are not independent of
// each other, since they wait in one queue; and two hundredths for latencies that do not spread at all.
func (s *search) noise(n, m float64) float64 {
	return (1.2*s.spread + 0.02) * math.Sqrt(1/n+1/max(1, m))
}

// learning is while the knee and the base rest on little.
func (s *search) learning() bool { return s.baseOf < baseMemory || s.kneeOf < kneeMemory }

// overloaded lowers the limit by a tenth, and by one at least, whatever trial it was for.
func (s *search) overloaded(now time.Duration) {
	s.knee = min(overloadCut*min(s.knee, s.at), s.at-1)
	s.rest()
	s.noLift = now + noLiftAfter
}

// rest ends what is tried at the moment.
func (s *search) rest() {
	s.trial, s.climb, s.lifts, s.leaped = even, climb{}, lifts{}, false
	s.before = 0 // it was of another limit
}

// read makes of a window what the next one is for, and where the knee is.
func (s *search) read(r reading) {
	if s.spread == 0 {
		s.spread = r.spread
	}
	if s.trial != lift { // a queue makes latencies spread less
		s.spread += (r.spread - s.spread) * r.calls / (r.calls + spreadMemory)
	}
	trial, before := s.trial, s.before
	s.trial, s.before = even, r.log
	switch {
	case trial == sound:
		s.sounded(r)
	case s.baseOf == 0:
		s.begin(r, before)
	case trial == lift:
		s.lifted(r)
	default:
		s.compare(r, trial == dip)
	}
}

// begin is for the time before there is a base. It sounds, once two windows are alike: else some calls have met less of a queue
// than others.
func (s *search) begin(r reading, before float64) {
	switch {
	case !r.pressed:
	case s.at <= s.min:
		s.base, s.baseOf = r.log, r.calls
		s.climbBy(climbFast, 0)
	case before > 0 && math.Abs(r.log-before) < max(0.15, 2*s.noise(r.calls, r.calls)):
		s.sound(r)
	}
}

// compare is for windows at the knee, and below it.
func (s *search) compare(r reading, dipped bool) {
	d, noise := r.log-s.base, s.noise(r.calls, s.baseOf)
	switch {
	case d < -max(0.1, 4*noise): // faster than the base: there is no doubt what that means
		s.base, s.baseOf, s.leaped = r.log, r.calls, false
	case d > max(leap, 3*noise):
		s.leap(r, dipped)
	case dipped:
		s.base += d * r.calls / (r.calls + s.baseOf)
		s.baseOf = min(s.baseOf+r.calls, baseMemory)
		if r.now >= s.noLift {
			s.trial = lift
		}
	case r.pressed:
		s.leaped = false
		s.calm += r.calls
		if s.learning() || s.calm > calmCalls && r.now > s.dipped+calmTime {
			s.calm, s.dipped = 0, r.now
			s.trial = dip
		}
	}
}

// leap sounds at the second window in a row whose latency has leaped. Below the knee that may be left of a lift's queue.
func (s *search) leap(r reading, dipped bool) {
	switch {
	case dipped || !r.pressed:
	case s.leaped:
		s.leaped = false
		s.sound(r)
	default:
		s.leaped = true
	}
}
