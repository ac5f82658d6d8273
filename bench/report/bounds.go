package main

import (
	"fmt"
	"slices"
	"strings"
)

// bound is a row of what is promised.
type bound struct {
	job, want string
	judge     func(*report) verdict
	why       map[string]string // by the job that is missed; for a bound of one job, by ""
}

// verdict is what was measured of a bound.
type verdict struct {
	measured string
	met      bool
	unknown  bool // not measured
	missed   []miss
}

// miss is a job that misses a bound that is for all.
type miss struct{ job, by string }

const (
	stackNs, timeoutNs, dropsNs = 130, 400, 500
	overNested, overFailsafe    = 0.6, 0.25
	overBare                    = 1.03
	overSerial                  = 1.3
)

var bounds = []bound{
	{"every job", "first among the peers that do the same work, on one core (over loopback and by size: see there)", func(r *report) verdict { return r.first(1) }, whyNotFirst},
	{"every job", "the same on two cores", func(r *report) verdict { return r.first(2) }, whyNotFirst},
	{"every job", "0 allocations where the caller's function needs none", (*report).noAllocations, whyAllocates},
	{"stack of three", "≤ 130 ns, 0 allocations; nested by hand and by Wrap", func(r *report) verdict { return r.stack("three", stackNs, 0) }, nil},
	{"with an attempt timeout", "≤ 400 ns, ≤ 1 allocation; of a function that does not ask for Done", func(r *report) verdict { return r.stack("timeout", timeoutNs, 1) }, nil},
	{"with an SDK that drops (NeverSample)", "≤ 500 ns over no SDK for a stack of three", (*report).drops, whyDrops},
	{"HTTP stack over a stub, with an attempt timeout", "≤ 0.6 × hand-nested", func(r *report) verdict { return r.httpStack("hand-nested", overNested) }, nil},
	{"HTTP stack over a stub, with an attempt timeout", "≤ 0.25 × failsafehttp", func(r *report) verdict { return r.httpStack("failsafehttp", overFailsafe) }, nil},
	{"GET over loopback", "throughput within 3 % of the bare client", func(r *report) verdict { return r.loopback("mean-ns") }, whyOverBare},
	{"GET over loopback", "p99 within 3 % of the bare client", func(r *report) verdict { return r.loopback("p99-ns") }, whyOverBare},
	{"two cores", "no job slower than 1.3 × its serial time per call", (*report).twoCores, whyNotAlone},
}

func (r *report) first(cores int) verdict {
	var v verdict
	with := 0
	for _, j := range jobs {
		peer := r.fastest(j, cores)
		if peer == "" {
			continue
		}
		with++
		if of := r.against(j, ours, peer, cores); of > 1 {
			v.missed = append(v.missed, miss{j.id(""), fmt.Sprintf("%.2f × %s", of, peer)})
		}
	}
	v.unknown, v.met = with == 0, len(v.missed) == 0
	v.measured = fmt.Sprintf("first in %d of %d", with-len(v.missed), with)
	return v
}

// needsNone says that the caller's function needs no allocation and the job can be done without: no goroutine is started or
// waited for, no context made, no error of the function's own. The page says which jobs those are: see allocating.
func needsNone(j job) bool {
	switch j.group {
	case "Timeout", "Hedge", "HTTP":
		return false
	}
	return !slices.Contains([]string{"Retry/failures", "Stack/timeout", "Bulkhead/contended"}, j.id(""))
}

// allocating is what needsNone says no to.
const allocating = "Timeout, Hedge, HTTP, Retry failures, Stack timeout and Bulkhead contended need some"

func (r *report) noAllocations() verdict {
	v, n := verdict{}, 0
	for _, j := range jobs {
		k := j.key(ours, 1)
		if !needsNone(j) || len(r.results[k]) == 0 {
			continue
		}
		n++
		if a, bytes := r.median(k, allocs), r.median(k, bytesA); a > 0 || bytes > 0 { // bytes only: less than one for two calls
			v.missed = append(v.missed, miss{j.id(""), fmt.Sprintf("%s, %s bytes", count(a), count(bytes))})
		}
	}
	v.unknown, v.met = n == 0, len(v.missed) == 0
	v.measured = fmt.Sprintf("none in %d of %d; %s", n-len(v.missed), n, allocating)
	return v
}

func (r *report) stack(name string, most, mostAllocs float64) verdict {
	j := job{group: "Stack", name: name}
	v := verdict{met: true}
	var said []string
	for _, side := range []string{ours, ours + ".Wrap"} {
		k := j.key(side, 1)
		if len(r.results[k]) == 0 {
			return verdict{unknown: true}
		}
		ns, a := r.median(k, perOp), r.median(k, allocs)
		v.met = v.met && ns <= most && a <= mostAllocs
		said = append(said, fmt.Sprintf("%.0f ns, %.0f", ns, a))
	}
	v.measured = strings.Join(said, "; ")
	return v
}

func (r *report) drops() verdict {
	j := job{group: "SDK", name: "stack"}
	none, drops := r.values(j.key("none", 1), perOp), r.values(j.key("drops", 1), perOp)
	if len(none) == 0 || len(none) != len(drops) {
		return verdict{unknown: true}
	}
	over := slices.Clone(drops)
	for i := range over {
		over[i] -= none[i]
	}
	return verdict{measured: fmt.Sprintf("%.0f ns over", median(over)), met: median(over) <= dropsNs}
}

func (r *report) httpStack(peer string, most float64) verdict {
	of := r.against(job{group: "HTTP", name: "stack-timeout"}, ours, peer, 1)
	return verdict{
		measured: fmt.Sprintf("%.2f × (without a timeout %.2f ×)", of, r.against(job{group: "HTTP", name: "stack"}, ours, peer, 1)),
		met:      of <= most, unknown: of == 0,
	}
}

// loopback is judged by the stack without a time limit beside a client without one. The mean is the inverse of the throughput:
// each client waits for its answer.
func (r *report) loopback(of string) verdict {
	v := verdict{met: true}
	var said, limited []string
	for _, cores := range []int{1, 2} {
		q := r.overBare("get", ours, of, cores)
		if q == 0 {
			return verdict{unknown: true}
		}
		v.met = v.met && q <= overBare
		said = append(said, percent(q))
		limited = append(limited, percent(r.overBare("get-timeout", ours, of, cores)))
	}
	v.measured = fmt.Sprintf("%s with one client, %s with two (with a timeout on both sides %s)", said[0], said[1], strings.Join(limited, ", "))
	return v
}

func (r *report) overBare(job, side, of string, cores int) float64 {
	k := key{"Loopback", job, "", cores}
	return ratio(r.values(k, side+":"+of), r.values(k, "floor:"+of))
}

func (r *report) twoCores() verdict {
	v, n := verdict{}, 0
	for _, j := range jobs {
		q := r.spread(j, ours)
		if q == 0 {
			continue
		}
		n++
		if q > overSerial {
			v.missed = append(v.missed, miss{j.id(""), fmt.Sprintf("%.2f × (the floor %.2f ×)", q, r.spread(j, "floor"))})
		}
	}
	v.unknown, v.met = n == 0, len(v.missed) == 0
	v.measured = fmt.Sprintf("%d of %d, with %.0f %% of the two cores", n-len(v.missed), n, 100*r.had(2))
	return v
}

func (v verdict) word() string {
	switch {
	case v.unknown:
		return "not measured"
	case v.met:
		return "met"
	}
	return "**missed**"
}
