package main

import (
	"slices"
	"strings"
)

// job is one row of work that holdfast and its peers do.
type job struct {
	group, name string
	what        string
	floor       string // what the side "floor" is
	handover    bool   // one at a time however many cores there are: ns/op is the time from one to the next
}

var jobs = []job{
	{group: "Retry", name: "success", what: "up to three attempts, the first succeeds", floor: "the bare call"},
	{group: "Retry", name: "failures", what: "two fail, the third succeeds; no delay. The function itself makes two allocations", floor: "a loop"},
	{group: "Breaker", name: "ratio", what: "closed, opens at half of 20 calls in a rolling window of 10 s", floor: "an atomic counter and the call"},
	{group: "Breaker", name: "consecutive", what: "closed, opens at 5 failures in a row", floor: "an atomic counter and the call"},
	{group: "Breaker", name: "open", what: "refuses", floor: "an atomic load"},
	{group: "Bulkhead", name: "free", what: "100 places, one is taken and given back", floor: "two atomic counters and the call"},
	{group: "Bulkhead", name: "contended", what: "eight goroutines want one place, and wait in turn (holdfast's Interval is below zero: always); who has it lets the others run", floor: "a sync.Mutex, which knows no context", handover: true},
	{group: "Bulkhead", name: "refused", what: "no place, no queue", floor: "an atomic load"},
	{group: "Bulkhead", name: "try", what: "the same, asked for a place without a call: TryAcquire, TryAcquirePermit", floor: "an atomic load"},
	{group: "Bulkhead", name: "adaptive", what: "the limit is found from latency, and does not bind", floor: "two atomic counters and the call"},
	{group: "Rate", name: "free", what: "a limit of calls a second that is not reached, within 100 places", floor: "a lock, a look at the clock and the call"},
	{group: "Timeout", name: "unasked", what: "an attempt with a time limit; it looks at Err", floor: "the bare call"},
	{group: "Timeout", name: "asked", what: "an attempt with a time limit; it asks for Done", floor: "the bare call"},
	{group: "Hedge", name: "quiet", what: "returns before the delay, which is fixed", floor: "a goroutine and a channel"},
	{group: "Hedge", name: "learned", what: "returns before the delay, which is learned", floor: "a goroutine and a channel"},
	{group: "Hedge", name: "fires", what: "the first attempt hangs, the second returns at once", floor: "two goroutines and a channel"},
	{group: "Failover", name: "call-ordered", what: "a call to one of three targets, in order", floor: "an atomic counter and the call"},
	{group: "Failover", name: "call-round_robin", what: "in turn", floor: "an atomic counter and the call"},
	{group: "Failover", name: "call-least_loaded", what: "the least loaded of two", floor: "an atomic counter and the call"},
	{group: "Failover", name: "call-peak_ewma", what: "by latency and load", floor: "an atomic counter and the call"},
	{group: "Failover", name: "pick-ordered", what: "a lease of one of three targets, in order", floor: "an atomic counter and the call"},
	{group: "Failover", name: "pick-round_robin", what: "in turn", floor: "an atomic counter and the call"},
	{group: "Failover", name: "pick-least_loaded", what: "the least loaded of two", floor: "an atomic counter and the call"},
	{group: "Failover", name: "pick-peak_ewma", what: "by latency and load", floor: "an atomic counter and the call"},
	{group: "Failover", name: "first", what: "the first of two functions fails, the second answers", floor: "two bare calls"},
	{group: "Stack", name: "three", what: "retry, breaker, bulkhead", floor: "five atomic counters, an atomic load and the call"},
	{group: "Stack", name: "timeout", what: "retry, breaker, bulkhead, a time limit for each attempt", floor: "five atomic counters, an atomic load and the call"},
	{group: "HTTP", name: "retry", what: "GET, 200 over a stub, which does not look at its context: retry", floor: "the stub"},
	{group: "HTTP", name: "stack", what: "retry, breaker, bulkhead", floor: "the stub"},
	{group: "HTTP", name: "stack-timeout", what: "retry, breaker, bulkhead, a time limit for each attempt", floor: "the stub"},
	{group: "HTTP", name: "hedge", what: "hedge, none fires", floor: "the stub"},
}

// lesser are peers that do not do the same work, and what they leave out. They are measured, and not what holdfast is held
// against. That a peer counts nothing, or says less of a refusal, is no reason: so it is with most of those that are not here.
var lesser = map[string]string{
	"Breaker/consecutive/go-resiliency": "It does not record a success: what opens it is not failures in a row but failures without a pause.",
	"Rate/free/x-time-rate":             "It has no limit of calls at a time.",
	"Rate/free/failsafe-go.rate":        "It has no limit of calls at a time.",
}

const ours = "holdfast"

func isOurs(side string) bool { return side == ours || strings.HasPrefix(side, ours+".") }

// sides of a job, in the order in which they are made.
func (r *report) sides(j job) []string {
	var floor, own, peers []string
	for k := range r.results {
		switch {
		case k.group != j.group || k.job != j.name || k.cores != 1:
		case k.side == "floor":
			floor = append(floor, k.side)
		case isOurs(k.side):
			own = append(own, k.side)
		default:
			peers = append(peers, k.side)
		}
	}
	slices.Sort(own)
	slices.SortFunc(peers, func(a, b string) int {
		return sign(r.median(j.key(a, 1), perOp) - r.median(j.key(b, 1), perOp))
	})
	return slices.Concat(floor, own, peers)
}

func sign(f float64) int {
	switch {
	case f < 0:
		return -1
	case f > 0:
		return 1
	}
	return 0
}

func (j job) key(side string, cores int) key { return key{j.group, j.name, side, cores} }

// id names a side; or the job, if side is empty.
func (j job) id(side string) string {
	if side == "" {
		return j.group + "/" + j.name
	}
	return j.group + "/" + j.name + "/" + side
}

// fastest is the peer with the least median, of those that do the same work; "" if there is none.
func (r *report) fastest(j job, cores int) string {
	best, least := "", 0.0
	for _, side := range r.sides(j) {
		if side == "floor" || isOurs(side) || lesser[j.id(side)] != "" {
			continue
		}
		if v := r.median(j.key(side, cores), perOp); v > 0 && (best == "" || v < least) {
			best, least = side, v
		}
	}
	return best
}

// against is side's ratio to another, in each round.
func (r *report) against(j job, side, other string, cores int) float64 {
	return ratio(r.values(j.key(side, cores), perOp), r.values(j.key(other, cores), perOp))
}

// eachCore is what a call takes one core of several: with two at work beside each other ns/op is half of it.
func (r *report) eachCore(j job, side string, cores int) []float64 {
	vs := r.values(j.key(side, cores), perOp)
	if j.handover {
		return vs
	}
	return times(vs, float64(cores))
}

// spread is what one of two cores takes over what one alone takes.
func (r *report) spread(j job, side string) float64 {
	return ratio(r.eachCore(j, side, 2), r.eachCore(j, side, 1))
}

// had is the share of so many cores that the calls had which never wait. What is missing others had; and where two goroutines
// seldom ran at the same moment they seldom met.
func (r *report) had(cores int) float64 {
	var shares []float64
	for _, j := range jobs {
		if slices.Contains([]string{"Retry", "Breaker", "Stack"}, j.group) {
			k := j.key(ours, cores)
			if share := ratio(r.values(k, perCPU), times(r.values(k, perOp), float64(cores))); share > 0 {
				shares = append(shares, share)
			}
		}
	}
	return median(shares)
}
