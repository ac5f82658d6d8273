package chart

import (
	"strings"
	"testing"
)

func TestAxis(t *testing.T) {
	tests := []struct {
		from, to float64
		log      bool
		want     string // the labels
	}{
		{0, 10, false, "0 2 4 6 8 10"},
		{0, 9.99, false, "0 2 4 6 8 10"},
		{0, 10.01, false, "0 5 10 15"},
		{0, 0.3, false, "0 0.1 0.2 0.3"},
		{-0.25, 0.5, false, "-0.4 -0.2 0 0.2 0.4 0.6"},
		{-3, -1, false, "-3 -2.5 -2 -1.5 -1"},
		{0, 0, false, "0 0.2 0.4 0.6 0.8 1"},
		{17, 18, false, "17 17.2 17.4 17.6 17.8 18"},
		{1e6, 1e6 + 1, false, "1000000 1000000.2 1000000.4 1000000.6 1000000.8 1000001"},
		{0, 3e9, false, "0 1e+09 2e+09 3e+09"},
		{0, 3e-9, false, "0 1e-09 2e-09 3e-09"},
		{1, 1000, true, "1 10 100 1000"},
		{0.002, 3, true, "0.001 0.01 0.1 1 10"},
		{5, 6, true, "1 10"},
		{5, 5, true, "1 10"},
		{10, 10, true, "10 100"},
		{1e-100, 1e100, true, "1e-100 1e-50 1 1e+50 1e+100"},
	}
	for _, test := range tests {
		a := axisOver(test.from, test.to, test.log, 5)
		var labels []string
		for i := range a.steps + 1 {
			labels = append(labels, a.label(i))
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("from %g to %g, logarithmic %t: got %s, want %s", test.from, test.to, test.log, got, test.want)
		}
		if from, to := a.place(test.from), a.place(test.to); from < 0 || to > 1 || from > to {
			t.Errorf("from %g to %g: drawn from %g to %g of the axis", test.from, test.to, from, to)
		}
	}
}
