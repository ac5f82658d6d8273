package chart_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/chart"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTerminal(t *testing.T) {
	zero := chart.Lines{Series: []chart.Series{
		{Name: "nothing", X: []float64{0, 1}, Y: []float64{0, 0}},
		{Name: "a single column", X: []float64{0.5, 0.5}, Y: []float64{0, 1e-200}},
	}}
	below := chart.Lines{XLabel: "seconds", Series: []chart.Series{
		{Name: "up", X: []float64{-3, 3}, Y: []float64{-0.25, 0.5}},
		{Name: "down", X: []float64{-1, -1, 1, 1}, Y: []float64{0.5, 0.2, 0.2, -0.25}},
	}}
	for name, test := range map[string]struct {
		chart chart.Lines
		width int
	}{
		"goodput": {goodput(), 0},
		"narrow":  {goodput(), 40},
		"latency": {latency(), 100},
		"tail":    {tail(), 0},
		"zero":    {zero, 60},
		"below":   {below, 60},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := test.chart.Terminal(&out, test.width); err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+name+".txt", out.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s (go test -update writes it anew):\n%s", path, got)
	}
}

// TestWidth: no line is longer than it may be, none has blanks at its end, and there are no colors.
func TestWidth(t *testing.T) {
	for width := 40; width <= 200; width += 7 {
		for name, c := range map[string]chart.Lines{"goodput": goodput(), "latency": latency(), "tail": tail()} {
			var out strings.Builder
			if err := c.Terminal(&out, width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > width {
					t.Errorf("%s: %d columns in place of %d: %q", name, n, width, line)
				}
				if strings.TrimRight(line, " ") != line || strings.Contains(line, "\x1b") {
					t.Errorf("%s, %d columns: %q", name, width, line)
				}
			}
		}
	}
	if err := goodput().Terminal(&strings.Builder{}, 39); err == nil || err.Error() != "chart: width: 39: want 40 columns or more" {
		t.Errorf("a width of 39: got %v", err)
	}
}
