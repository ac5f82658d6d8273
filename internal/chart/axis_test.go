package chart

import (
	"strings"
	"testing"
)

func TestAxis(t *testing.T) {
	tests := []struct {
		from, to float64
		on       scale
		want     string // the labels
	}{
		{0, 10, linear, "0 2 4 6 8 10"},
		{0, 9.99, linear, "0 2 4 6 8 10"},
		{0, 10.01, linear, "0 5 10 15"},
		{0, 0.3, linear, "0 0.1 0.2 0.3"},
		{-0.25, 0.5, linear, "-0.4 -0.2 0 0.2 0.4 0.6"},
		{-3, -1, linear, "-3 -2.5 -2 -1.5 -1"},
		{0, 0, linear, "0 0.2 0.4 0.6 0.8 1"},
		{17, 18, linear, "17 17.2 17.4 17.6 17.8 18"},
		{1e6, 1e6 + 1, linear, "1000000 1000000.2 1000000.4 1000000.6 1000000.8 1000001"},
		{0, 3e9, linear, "0 1e+09 2e+09 3e+09"},
		{0, 3e-9, linear, "0 1e-09 2e-09 3e-09"},
		{1, 1000, logarithmic, "1 10 100 1000"},
		{0.002, 3, logarithmic, "0.001 0.01 0.1 1 10"},
		{5, 6, logarithmic, "1 10"},
		{5, 5, logarithmic, "1 10"},
		{10, 10, logarithmic, "10 100"},
		{1e-100, 1e100, logarithmic, "1e-100 1e-50 1 1e+50 1e+100"},
		{0, 0.5, nines, "0% 90%"},
		{0, 0.9, nines, "0% 90%"},
		{0, 0.901, nines, "0% 90% 99%"},
		{0.95, 0.9999, nines, "90% 99% 99.9% 99.99%"},
		{0, 0.999, nines, "0% 90% 99% 99.9%"},
		{0, mostShare, nines, "0% 99% 99.99% 99.9999% 99.999999% 99.99999999%"},
	}
	for _, test := range tests {
		a := axisOver(test.from, test.to, test.on, 5)
		var labels []string
		for i := range a.steps + 1 {
			labels = append(labels, a.label(i))
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("from %g to %g, scale %d: got %s, want %s", test.from, test.to, test.on, got, test.want)
		}
		if from, to := a.place(test.from), a.place(test.to); from < 0 || to > 1 || from > to {
			t.Errorf("from %g to %g: drawn from %g to %g of the axis", test.from, test.to, from, to)
		}
	}
}
