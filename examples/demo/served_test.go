package main

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestServedOf(t *testing.T) {
	ms := time.Millisecond
	c := course{
		{"calm", 10, 200 * ms},     // calls 0 and 1, at 0 and 100 ms
		{"overload", 50, 100 * ms}, // 2 to 6, each 20 ms
		{"after", 10, 1000 * ms},   // from 7 on, at 300 ms and so on
	}
	calls := []call{ // in the order in which they ended
		{succeeded, 10 * ms, 10 * ms},
		{succeeded, 100 * ms, 200 * ms}, // made in the calm, answered under overload
		{refused, 2 * ms, 222 * ms},
		{shed, 0, 240 * ms},
		{failed, 100 * ms, 300 * ms},
		{succeeded, 50 * ms, 310 * ms},
		{refused, ms, 281 * ms},
		{succeeded, 20 * ms, 420 * ms},
		{failed, 100 * ms, 400 * ms},
	}
	got := servedOf(c, calls)
	var line []stretch // call 9, at 500 ms, was not made
	for i, good := range []int{1, 0, 1, 1, 1} {
		line = append(line, stretch{time.Duration(i) * 100 * ms, time.Duration(i+1) * 100 * ms, good})
	}
	want := &served{
		calls:    endings{9, 4, 2, 1},
		phases:   []stretch{{0, 200 * ms, 1}, {200 * ms, 300 * ms, 1}, {300 * ms, 500 * ms, 2}},
		line:     line,
		good:     sample{took: []time.Duration{10 * ms, 20 * ms, 50 * ms, 100 * ms}},
		refusals: sample{took: []time.Duration{1 * ms, 2 * ms}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if got.calls.late() != 2 || got.phases[after].goodput() != 10 {
		t.Errorf("%d late, %v a second at the end; want 2 and 10", got.calls.late(), got.phases[after].goodput())
	}
	drawn := got.series("x")
	x, y := []float64{0.05, 0.15, 0.25, 0.35, 0.45}, []float64{10, 0, 10, 10, 10}
	if !slices.Equal(drawn.X, x) || !slices.Equal(drawn.Y, y) {
		t.Errorf("drawn as %+v", drawn)
	}
	got.worked = 7
	if got.wasted() != 3 {
		t.Errorf("%d requests worked on for nobody, want 3", got.wasted())
	}
	none := servedOf(c, nil)
	if none.calls.all != 0 || len(none.line) != 0 || none.wasted() != 0 {
		t.Errorf("of nothing: %+v", none)
	}
	for i, p := range none.phases {
		if p.lived() || p.goodput() != 0 {
			t.Errorf("phase %d of nothing: %+v", i, p)
		}
	}
}
