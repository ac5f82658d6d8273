package bulkhead

import (
	"math"
	"math/rand/v2"
	"time"
)

// SimLimiter is what a [Sim] asks, and tells of its calls.
type SimLimiter interface {
	Limit() int
	// Refused says that a call was, or that it would have been.
	Refused()
	// Done says that a call has ended that began at start, with inflight calls, itself among them.
	Done(now, start time.Duration, inflight int)
}

// Sim is a server behind a limiter: some workers, and a queue, first come first served, of calls that have been let in. Up to as
// many calls as there are workers, its knee, none waits.
type Sim struct {
	Seed    uint64
	Length  time.Duration
	Workers func(now time.Duration) int
	// Service is how long a worker takes.
	Service func(now time.Duration, rng *rand.Rand) time.Duration
	// Rate is how many calls come a second, at random. Nil: there is always one that comes when there is room.
	Rate func(now time.Duration) float64
}

// Run returns the limit of each second, on average.
func (s *Sim) Run(l SimLimiter) (limits []float64) {
	r := &simRun{Sim: s, l: l, rng: rand.New(rand.NewPCG(s.Seed, 13)), next: math.MaxInt64}
	limits = make([]float64, int(s.Length/time.Second))
	if s.Rate != nil {
		r.next = 0
		r.draw()
	}
	for was, limit := time.Duration(0), l.Limit(); was < s.Length; limit = l.Limit() {
		r.step()
		for now := min(r.now, s.Length); was < now; {
			second := was.Truncate(time.Second)
			until := min(now, second+time.Second)
			limits[second/time.Second] += float64(limit) * (until - was).Seconds()
			was = until
		}
	}
	return limits
}

type simRun struct {
	*Sim
	l        SimLimiter
	rng      *rand.Rand
	now      time.Duration
	next     time.Duration // call
	inflight int
	queue    []simCall
	working  []simCall // a heap, the first to end at its root
}

type simCall struct {
	start, end time.Duration
	inflight   int
}

// step goes on to the next event.
func (r *simRun) step() {
	if r.Rate == nil {
		for r.inflight < r.l.Limit() {
			r.admit()
		}
		r.l.Refused()
	}
	if len(r.working) > 0 && r.working[0].end <= r.next {
		call := r.pop()
		r.now = call.end
		r.inflight--
		r.l.Done(r.now, call.start, call.inflight)
		r.work()
		return
	}
	r.now = r.next
	r.draw()
	if r.now >= r.Length {
		return
	}
	if r.inflight < r.l.Limit() {
		r.admit()
	} else {
		r.l.Refused()
	}
}

// draw draws when the next call comes.
func (r *simRun) draw() {
	for r.next < r.Length {
		if rate := r.Rate(r.next); rate > 0 {
			r.next += time.Duration(r.rng.ExpFloat64() / rate * 1e9)
			return
		}
		r.next += 10 * time.Millisecond
	}
}

func (r *simRun) admit() {
	r.inflight++
	r.queue = append(r.queue, simCall{start: r.now, inflight: r.inflight})
	r.work()
}

// work has the workers that are free begin.
func (r *simRun) work() {
	for len(r.queue) > 0 && len(r.working) < r.Workers(r.now) {
		call := r.queue[0]
		r.queue = r.queue[1:]
		call.end = r.now + r.Service(r.now, r.rng)
		r.push(call)
	}
}

func (r *simRun) push(call simCall) {
	r.working = append(r.working, call)
	h := r.working
	for at := len(h) - 1; at > 0; {
		up := (at - 1) / 2
		if h[up].end <= h[at].end {
			return
		}
		h[up], h[at] = h[at], h[up]
		at = up
	}
}

func (r *simRun) pop() simCall {
	h := r.working
	first, last := h[0], len(h)-1
	h[0], h = h[last], h[:last]
	r.working = h
	for at := 0; ; {
		down := 2*at + 1
		if down+1 < last && h[down+1].end < h[down].end {
			down++
		}
		if down >= last || h[at].end <= h[down].end {
			return first
		}
		h[at], h[down] = h[down], h[at]
		at = down
	}
}

// SimServices are distributions of service times, each with a mean of 1.
var SimServices = []struct {
	Name string
	Draw func(*rand.Rand) float64
}{
	{"constant", func(*rand.Rand) float64 { return 1 }},
	{"exponential", (*rand.Rand).ExpFloat64},
	{"log-normal", logNormal},
}

// logNormal has a deviation of 1.5.
func logNormal(rng *rand.Rand) float64 {
	variance := math.Log(1 + 1.5*1.5)
	return math.Exp(math.Sqrt(variance)*rng.NormFloat64() - variance/2)
}

// SimLoop is how calls come.
type SimLoop string

const (
	SimClosed  SimLoop = "closed"           // as soon as there is room
	SimOpen    SimLoop = "open"             // at random, 1.5 times what the server can do at first
	SimFollows SimLoop = "open, as it does" // at random, 1.5 times what the server can do now
)

// SimE13 is the model of E13, of 60 s: the server's service time, 20 ms on average, is three times that from 20 s to 40 s.
func SimE13(seed uint64, knee int, service func(*rand.Rand) float64, loop SimLoop) *Sim {
	s := &Sim{
		Seed: seed, Length: time.Minute,
		Workers: func(time.Duration) int { return knee },
		Service: func(now time.Duration, rng *rand.Rand) time.Duration {
			return time.Duration(float64(SimE13Mean(now)) * service(rng))
		},
	}
	switch loop {
	case SimOpen:
		s.Rate = func(time.Duration) float64 { return 1.5 * float64(knee) / SimE13Mean(0).Seconds() }
	case SimFollows:
		s.Rate = func(now time.Duration) float64 { return 1.5 * float64(knee) / SimE13Mean(now).Seconds() }
	}
	return s
}

// SimE13Mean is the mean service time of E13.
func SimE13Mean(now time.Duration) time.Duration {
	if now >= 20*time.Second && now < 40*time.Second {
		return 60 * time.Millisecond
	}
	return 20 * time.Millisecond
}

// SimSettled are the last ten seconds of each phase of 20 s.
func SimSettled(limits []float64) (phases [][]float64) {
	for end := 20; end <= len(limits); end += 20 {
		phases = append(phases, limits[end-10:end])
	}
	return phases
}

// SimMean is the mean.
func SimMean(limits []float64) (mean float64) {
	for _, l := range limits {
		mean += l / float64(len(limits))
	}
	return mean
}
