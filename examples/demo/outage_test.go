package main

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// TestOutage makes both runs for real. However fast this machine is, each call is accounted for, and nothing is left behind. If
// it has time, no call is lost that was made under failover, and the server that was killed is left out and taken back.
func TestOutage(t *testing.T) {
	before := runtime.NumGoroutine()
	const calls = 2 * outageRate
	s, err := measureOutage(t.Context(), 2*time.Second, 1, progress{out: t.Output()})
	if err != nil { // a body was left open, or the server did not come back
		t.Fatal(err)
	}
	for name, k := range map[string]kept{"bare": s.bare, "failover": s.held} {
		if k.calls != calls || len(k.took)+k.shed != calls || k.refused != 0 || len(k.good.took) != k.succeeded {
			t.Errorf("%s: calls are missing: %d times, %d shed, %d succeeded of %d", name, len(k.took), k.shed, k.succeeded, k.calls)
		}
	}
	if s.bare.lost() == 0 || int(s.bare.requests) != len(s.bare.took) {
		t.Errorf("bare: %d calls lost, %d requests for %d calls", s.bare.lost(), s.bare.requests, len(s.bare.took))
	}
	if g := s.group; int(g.Calls) != len(s.held.took) || int(g.Calls+g.Failovers) != int(s.held.requests) {
		t.Errorf("the group counted otherwise: %d calls, %d failovers; the client made %d and %d attempts",
			g.Calls, g.Failovers, len(s.held.took), s.held.requests)
	}
	if s.down <= 0 || s.up <= s.down {
		t.Errorf("killed at %v, started at %v", s.down, s.up)
	}
	at, back := s.ejected(), s.back()
	if at != 0 && at < s.down || back != 0 && back < s.up {
		t.Errorf("killed at %v, left out at %v, started at %v, taken back at %v", s.down, at, s.up, back)
	}
	if n := len(s.answers); n != s.held.succeeded {
		t.Errorf("%d answers for %d successes", n, s.held.succeeded)
	}
	const stall = 100 * time.Millisecond
	if s.held.good.quantile(1) < stall { // else this machine may have had no time for it
		if s.held.lost() != 0 {
			t.Errorf("%d calls lost under failover", s.held.lost())
		}
		if at == 0 || back == 0 {
			t.Errorf("left out at %v, taken back at %v", at, back)
		}
		for _, a := range s.answers {
			if a.member == 0 && a.at > s.down+stall && a.at < s.up {
				t.Errorf("who is dead has answered, at %v", a.at)
			}
		}
	}
	noneLeft(t, before)
}

// TestTurns: who asks the servers in turn asks each as often as its weight says.
func TestTurns(t *testing.T) {
	got := make([]int, len(members))
	for _, m := range turns {
		got[m]++
	}
	for i, m := range members {
		if got[i] != m.weight {
			t.Errorf("%s: %d turns of %d, want %d", m.name, got[i], len(turns), m.weight)
		}
	}
}

// TestEras: each begins where the one before ends, as far as the run went.
func TestEras(t *testing.T) {
	ms := time.Millisecond
	back := func(at time.Duration) []change {
		return []change{
			{failover.Event{Target: "small", To: failover.Healthy}, 1200 * ms},
			{failover.Event{Target: "large", To: failover.Healthy}, 500 * ms},
			{failover.Event{Target: "large", To: failover.Healthy}, at},
		}
	}
	for name, test := range map[string]struct {
		story story
		want  [5]time.Duration
	}{
		"whole":              {story{reached: 2000 * ms, down: 400 * ms, up: 1000 * ms, changes: back(1100 * ms)}, [5]time.Duration{0, 400 * ms, 1000 * ms, 1500 * ms, 2000 * ms}},
		"back at the end":    {story{reached: 2000 * ms, down: 400 * ms, up: 1000 * ms, changes: back(1900 * ms)}, [5]time.Duration{0, 400 * ms, 1000 * ms, 2000 * ms, 2000 * ms}},
		"not back":           {story{reached: 1100 * ms, down: 400 * ms, up: 1000 * ms}, [5]time.Duration{0, 400 * ms, 1000 * ms, 1100 * ms, 1100 * ms}},
		"ended in between":   {story{reached: 500 * ms, down: 400 * ms}, [5]time.Duration{0, 400 * ms, 500 * ms, 500 * ms, 500 * ms}},
		"ended before":       {story{reached: 300 * ms}, [5]time.Duration{0, 300 * ms, 300 * ms, 300 * ms, 300 * ms}},
		"ended at the start": {story{}, [5]time.Duration{}},
	} {
		test.story.lasts = 2000 * ms
		for i, e := range test.story.eras() {
			if e.from != test.want[i] || e.to != test.want[i+1] {
				t.Errorf("%s: %s from %v to %v, want %v to %v", name, e.name, e.from, e.to, test.want[i], test.want[i+1])
			}
		}
	}
}

// TestShares: of what came in a time, its beginning included and its end not.
func TestShares(t *testing.T) {
	s := &story{answers: []answered{{0, 0}, {0, 10}, {1, 10}, {0, 15}, {2, 19}, {1, 20}}}
	for _, test := range []struct {
		from, to time.Duration
		answers  int
		shares   [3]float64
	}{
		{10, 20, 4, [3]float64{0.5, 0.25, 0.25}},
		{0, 1, 1, [3]float64{1, 0, 0}},
		{20, 30, 1, [3]float64{0, 1, 0}},
		{30, 40, 0, [3]float64{}},
	} {
		shares, answers := s.shares(test.from, test.to)
		if answers != test.answers || [3]float64(shares) != test.shares {
			t.Errorf("from %d to %d: %v of %d, want %v of %d", test.from, test.to, shares, answers, test.shares, test.answers)
		}
	}
}

// TestOutageSeries: the shares of each point are all of it, and a time without answers is no point.
func TestOutageSeries(t *testing.T) {
	s := &story{lasts: points * time.Second, reached: 10 * time.Second}
	for i := range 100 {
		if at := time.Duration(i) * 100 * time.Millisecond; at < 3*time.Second || at >= 5*time.Second {
			s.answers = append(s.answers, answered{turns[i%len(turns)], at})
		}
	}
	all := s.series()
	if len(all) != len(members) || len(all[0].X) != 8 || all[0].X[0] != 0.5 || all[0].X[3] != 5.5 {
		t.Fatalf("%d series over %v", len(all), all[0].X)
	}
	for i := range all[0].X {
		if sum := all[0].Y[i] + all[1].Y[i] + all[2].Y[i]; math.Abs(sum-100) > 1e-9 {
			t.Errorf("at %v the shares sum up to %v %%", all[0].X[i], sum)
		}
	}
}

// TestOutageInterrupted: what there is by then is reported, and the rest is not waited for.
func TestOutageInterrupted(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &interrupter{at: "both ", cancel: cancel}
	if err := showOutage(ctx, out, short(), progress{out: out}, &pictures{t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	missing(t, out.String(), "Interrupted", "  ***  large\n", "Under failover, ")
	if strings.Contains(out.String(), "800 calls was lost") {
		t.Errorf("it went on to the end:\n%s", out)
	}
	noneLeft(t, before)
}
