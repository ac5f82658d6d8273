package main

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// TestNature: steady ones take 2 to 5 ms, and the uneven one pauses as often as it says, for as long.
func TestNature(t *testing.T) {
	const draws = 50_000
	ms := time.Millisecond
	for _, n := range natures {
		random := rand.New(rand.NewPCG(1, 2))
		pauses, long := 0, 0
		for range draws {
			took := n.takes(random)
			if took < 2*ms || took > 5*ms+n.most || took > 5*ms && took < 2*ms+n.least {
				t.Fatalf("%s: took %v", n.name, took)
			}
			if took > 5*ms {
				pauses++
			}
			if took > 5*ms+2*n.least {
				long++
			}
		}
		if got := ratio(pauses, draws); got < 0.95*n.share || got > 1.05*n.share {
			t.Errorf("%s: pauses before %v of its requests, want %v", n.name, got, n.share)
		}
		// 2^-1.1 is 0.47. The work makes some of them a little longer, or not.
		if got := ratio(long, pauses); n.share > 0 && (got < 0.38 || got > 0.5) {
			t.Errorf("%s: %v of the pauses are twice the least, want almost half", n.name, got)
		}
	}
}

// TestReplica: the same request takes the same replica the same time whenever it comes, and others another.
func TestReplica(t *testing.T) {
	var times [2][]time.Duration
	for i := range times {
		for number := range natures {
			r, err := startReplica(number, 7)
			if err != nil {
				t.Fatal(err)
			}
			for request := range uint64(20) {
				times[i] = append(times[i], r.takes(request))
			}
			if err := get(t.Context(), http.DefaultClient, r.url()+"3", time.Minute); err != nil {
				t.Error(err)
			}
			if err := get(t.Context(), http.DefaultClient, r.url()+"three", time.Minute); err == nil {
				t.Error("a request without a number was answered")
			}
			if n := r.requests.Load(); n != 2 {
				t.Errorf("%d requests counted, want 2", n)
			}
			http.DefaultClient.CloseIdleConnections()
			if err := r.end(); err != nil {
				t.Error(err)
			}
		}
	}
	seen := make(map[time.Duration]bool)
	for i, took := range times[0] {
		if took != times[1][i] {
			t.Errorf("draw %d: %v, and then %v", i, took, times[1][i])
		}
		seen[took] = true
	}
	if len(seen) != len(times[0]) {
		t.Errorf("%d times for %d requests: some share their luck", len(seen), len(times[0]))
	}
}
