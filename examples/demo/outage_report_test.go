package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// lived is a made-up run of two seconds that went as far as reached, at 600 calls a second.
func lived(reached time.Duration) *story {
	const ms = time.Millisecond
	s := &story{lasts: 2000 * ms, reached: reached}
	var events []change
	for _, c := range []struct {
		at    time.Duration
		to    failover.State
		lasts time.Duration
		why   string
	}{
		{412 * ms, failover.Ejected, 100 * ms, "5 failures in a row"},
		{513 * ms, failover.Probing, 0, ""},
		{514 * ms, failover.Ejected, 200 * ms, "a trial failed"},
		{1120 * ms, failover.Healthy, 0, "trials went well"},
	} {
		at := time.Unix(0, 0).Add(c.at)
		e := failover.Event{Target: "large", To: c.to, Why: c.why, At: at, Until: at.Add(c.lasts)}
		events = append(events, change{e, c.at})
	}
	for _, e := range events {
		if e.at < reached {
			s.changes = append(s.changes, e)
		}
	}
	if reached > 400*ms {
		s.down = 400 * ms
	}
	if reached > 1000*ms {
		s.up = 1000 * ms
	}
	n := int(reached.Seconds() * 600)
	for i := range n {
		at := time.Duration(i) * time.Second / 600
		member := turns[i%len(turns)]
		dead := member == 0 && at >= 400*ms && at < 1000*ms
		lost := member == 0 && at >= 400*ms && at < 1120*ms
		s.bare.calls++
		s.bare.took = append(s.bare.took, 3*ms)
		if !dead {
			s.bare.succeeded++
			s.bare.good.took = append(s.bare.good.took, 3*ms)
		}
		if lost {
			member = 1 + i/2%3/2 // two of three to the medium one
		}
		s.answers = append(s.answers, answered{member, at})
	}
	s.bare.requests = int64(n)
	s.held = kept{sample: sample{calls: n, succeeded: n, took: s.bare.took}, good: sample{took: s.bare.took}}
	s.group.Calls = uint64(n)
	if reached > 400*ms {
		s.group.Failovers = 7
	}
	s.held.requests = int64(n) + int64(s.group.Failovers)
	return s
}

func TestOutageReport(t *testing.T) {
	worse := lived(2 * time.Second)
	worse.held.succeeded -= 3
	worse.held.shed = 1
	worse.changes = nil // never noticed
	for name, s := range map[string]*story{
		"both":    lived(2 * time.Second),
		"worse":   worse,
		"down":    lived(700 * time.Millisecond),
		"early":   lived(200 * time.Millisecond),
		"nothing": {lasts: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			folder := t.TempDir()
			if err := drawOutage(&out, &pictures{folder}, s); err != nil {
				t.Fatal(err)
			}
			outageTable(&out, s)
			concludeOutage(&out, s)
			got := strings.ReplaceAll(out.String(), filepath.Join(folder, "traffic.svg"), "traffic.svg")
			golden(t, "testdata/outage_"+name+".txt", got)
			narrow(t, got)
		})
	}
}

func TestOutageStory(t *testing.T) {
	var out strings.Builder
	tellOutage(&out, defaults().outage())
	golden(t, "testdata/outage_story.txt", out.String())
	narrow(t, out.String())
	for _, duration := range []time.Duration{time.Second, 33 * time.Second, 10 * time.Minute} {
		out.Reset()
		tellOutage(&out, options{duration: duration}.outage())
		narrow(t, out.String())
	}
}
