package main

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// nature is how long a replica takes. It pauses before a share of its requests, as servers do that collect garbage, or
// share a disk: as a rule not for long, but now and then for very much longer (a Pareto distribution).
type nature struct {
	name        string
	share       float64
	least, most time.Duration
	steepness   float64 // pauses twice as long are 2^steepness times as rare
}

// natures are those of the three replicas.
var natures = []nature{
	{name: "steady"},
	{name: "steady too"},
	{name: "uneven", share: 0.1, least: 30 * time.Millisecond, most: time.Second, steepness: 1.1},
}

// takes is how long a replica of this nature takes for a request: 2 to 5 ms, and perhaps a pause.
func (n nature) takes(random *rand.Rand) time.Duration {
	work := 2*time.Millisecond + time.Duration(random.Int64N(int64(3*time.Millisecond)))
	if random.Float64() >= n.share {
		return work
	}
	pause := float64(n.least) * math.Pow(1-random.Float64(), -1/n.steepness)
	return work + min(time.Duration(min(pause, math.MaxInt64/2)), n.most)
}

// replica is one of several HTTP servers that know the same. How long it takes for a request hangs on the seed, the
// replica and the request's number, and on nothing else.
type replica struct {
	*site
	nature   nature
	seed     uint64
	requests atomic.Int64 // that reached it
}

// startReplica starts the one with the given number.
func startReplica(number int, seed uint64) (*replica, error) {
	r := &replica{nature: natures[number], seed: seed + uint64(number)<<32}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{request}", r.serve)
	var err error
	r.site, err = openSite(mux)
	return r, err
}

// takes is how long a request takes.
func (r *replica) takes(request uint64) time.Duration {
	return r.nature.takes(rand.New(rand.NewPCG(r.seed, request)))
}

// serve takes its time and answers, unless the client goes away meanwhile.
func (r *replica) serve(w http.ResponseWriter, req *http.Request) {
	r.requests.Add(1)
	number, err := strconv.ParseUint(req.PathValue("request"), 10, 64)
	if err != nil {
		http.NotFound(w, req)
		return
	}
	timer := time.NewTimer(r.takes(number))
	defer timer.Stop()
	select {
	case <-timer.C:
		w.Write(answer)
	case <-req.Context().Done():
		panic(http.ErrAbortHandler)
	}
}
