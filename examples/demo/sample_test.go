package main

import (
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	var y tally
	y.add(succeeded, 3*time.Millisecond)
	y.add(failed, time.Millisecond)
	y.add(refused, 2*time.Millisecond)
	y.add(shed, 0)
	s := y.sample()
	if s.calls != 4 || s.succeeded != 1 || s.refused != 1 || s.shed != 1 || s.failed() != 3 {
		t.Errorf("got %+v", s)
	}
	if len(s.took) != 3 || s.took[0] != time.Millisecond || s.took[2] != 3*time.Millisecond {
		t.Errorf("got %v, want 1, 2 and 3 ms: sorted, without the call that was not started", s.took)
	}
}

func TestQuantile(t *testing.T) {
	upTo := func(n int) (s sample) {
		for i := range n {
			s.took = append(s.took, time.Duration(i+1))
		}
		return s
	}
	tests := []struct {
		n    int
		q    float64
		want time.Duration
	}{
		{0, 0.5, 0},
		{1, 0, 1},
		{1, 0.5, 1},
		{1, 1, 1},
		{2, 0.5, 1},
		{3, 0.5, 2},
		{100, 0.99, 99},
		{101, 0.99, 100},
		{1000, 0.99, 990},
		{1000, 1, 1000},
	}
	for _, test := range tests {
		if got := upTo(test.n).quantile(test.q); got != test.want {
			t.Errorf("quantile %v of 1 to %d: got %d, want %d", test.q, test.n, got, test.want)
		}
	}
}

func TestTotal(t *testing.T) {
	got := total([]sample{
		{calls: 4, succeeded: 3, refused: 1, took: []time.Duration{1, 4}, requests: 6, connections: 1, transitions: 3, opened: 1},
		{calls: 4, succeeded: 4, took: []time.Duration{2, 3}, requests: 4, connections: 2},
	})
	if got.success() != 7./8 || got.load() != 10./8 || got.connections != 3 || got.transitions != 3 || got.opened != 1 {
		t.Errorf("got %+v", got)
	}
	if got.quantile(0.5) != 2 || got.quantile(1) != 4 {
		t.Errorf("the times are not merged in order: %v", got.took)
	}
	if none := total(nil); none.success() != 0 || none.load() != 0 || none.quantile(0.5) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
}
