package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// quick is a made-up run in which a share of the calls is slow, the more so the fewer they are, but not slower than most.
func quick(calls int, slow float64, most time.Duration) *quickness {
	q := &quickness{}
	for i := range calls {
		left := 1 - float64(i)/float64(calls) // the share that takes as long or longer
		took := 2*time.Millisecond + time.Duration((1-left)*float64(3*time.Millisecond))
		if left < slow {
			took = min(time.Duration(slow/left*float64(30*time.Millisecond)), most)
		}
		q.took = append(q.took, took)
	}
	q.calls, q.succeeded, q.requests = calls, calls, int64(calls)
	return q
}

func TestTailReport(t *testing.T) {
	bare, hedged := quick(5000, 0.03, time.Second), quick(5000, 0.001, 40*time.Millisecond)
	hedged.requests = 5240
	hedged.policy = hedge.Snapshot{Calls: 5000, Successes: 5000, Hedges: 245, Wins: 160, Delay: 6213 * time.Microsecond}
	shaken := quick(4990, 0.1, 3*time.Second)
	shaken.calls, shaken.succeeded, shaken.shed = 5000, 4987, 10
	for name, runs := range map[string][2]*quickness{
		"both":        {bare, hedged},
		"worse":       {hedged, bare},
		"shaken":      {shaken, hedged},
		"interrupted": {quick(300, 0.03, time.Second), quick(300, 0.01, time.Second)},
		"two":         {quick(2, 0, 0), quick(2, 0, 0)},
		"nothing":     {quick(0, 0, 0), quick(0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			folder := t.TempDir()
			if err := drawTail(&out, &pictures{folder}, runs[0], runs[1]); err != nil {
				t.Fatal(err)
			}
			tailTable(&out, runs[0], runs[1])
			concludeTail(&out, runs[0], runs[1])
			got := strings.ReplaceAll(out.String(), filepath.Join(folder, "tail.svg"), "tail.svg")
			golden(t, "testdata/tail_"+name+".txt", got)
			narrow(t, got)
		})
	}
}

func TestTailStory(t *testing.T) {
	var out strings.Builder
	tellTail(&out, defaults())
	golden(t, "testdata/tail_story.txt", out.String())
	narrow(t, out.String())
}

// narrow wants lines of 80 columns at most.
func narrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := len([]rune(line)); n > 81 {
			t.Errorf("%d columns: %s", n-1, line)
		}
	}
}

// TestTailSeries: each point is the time within which that share of the calls ended, to the last that a call stands for.
func TestTailSeries(t *testing.T) {
	q := &quickness{}
	for i := range 100 {
		q.took = append(q.took, time.Duration(i+1)*time.Millisecond)
	}
	s := q.series("x")
	if len(s.X) != 41 || len(s.Y) != 41 {
		t.Fatalf("%d points", len(s.X))
	}
	for i, want := range map[int][2]float64{0: {0, 1}, 20: {0.9, 90}, 40: {0.99, 99}} {
		if x, y := s.X[i], s.Y[i]; x < want[0]-1e-9 || x > want[0]+1e-9 || y != want[1] {
			t.Errorf("point %d: %v at %v, want %v at %v", i, y, x, want[1], want[0])
		}
	}
}
