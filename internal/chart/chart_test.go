package chart_test

import (
	"io"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// goodput is a chart as the demo draws it.
func goodput() chart.Lines {
	return chart.Lines{
		Title:  "Goodput & <capacity>",
		XLabel: "seconds",
		YLabel: "answers in time, a second",
		Series: []chart.Series{
			{Name: "bare", X: []float64{0, 3, 4, 7, 10}, Y: []float64{280, 280, 0, 0, 280}},
			{Name: "with a bulkhead", X: []float64{0, 3, 4, 7, 10}, Y: []float64{280, 280, 390, 390, 280}},
		},
		Spans: []chart.Span{{Name: "overload", From: 3, To: 7}},
	}
}

// latency is one on logarithmic axes.
func latency() chart.Lines {
	return chart.Lines{
		Title:  "Latency",
		XLabel: "one call of so many is slower",
		YLabel: "ms",
		Series: []chart.Series{
			{Name: "bare", X: []float64{1, 10, 100, 1000}, Y: []float64{2, 3, 70, 900}},
			{Name: "hedged", X: []float64{1, 10, 100, 1000}, Y: []float64{2, 3, 5, 20}},
		},
		LogX: true, LogY: true,
	}
}

// tail is a quantile plot.
func tail() chart.Lines {
	return chart.Lines{
		Title:  "Latency",
		XLabel: "of the calls took at most",
		YLabel: "ms",
		Series: []chart.Series{
			{Name: "bare", X: []float64{0, 0.9, 0.99, 0.999}, Y: []float64{2, 3, 70, 500}},
			{Name: "hedged", X: []float64{0, 0.9, 0.99, 0.999}, Y: []float64{2, 3, 5, 20}},
		},
		Quantiles: true,
	}
}

func TestFaults(t *testing.T) {
	line := func(x, y []float64) chart.Lines { return chart.Lines{Series: []chart.Series{{X: x, Y: y}}} }
	logarithmic := line([]float64{0, 1}, []float64{-1, 0})
	logarithmic.LogX, logarithmic.LogY = true, true
	shares := line([]float64{-0.1, 0.999, 1}, []float64{1, 2, 3})
	shares.Quantiles, shares.Spans = true, []chart.Span{{"", 0.5, 1}}
	both := line([]float64{0.1, 0.2}, []float64{1, 2})
	both.Quantiles, both.LogX = true, true
	tests := []struct {
		name  string
		chart chart.Lines
		want  []string // the whole error, a line for each fault
	}{
		{"nothing", chart.Lines{}, []string{"chart: Series: 0: want 1 to 6"}},
		{"too many", chart.Lines{Series: make([]chart.Series, 7)}, append([]string{
			"chart: Series: 7: want 1 to 6",
			"chart: Series[0]: 0 points: nothing to draw: want 2 or more",
		}, strings.Split(strings.Repeat("…\n", 5)+"…", "\n")...)},
		{
			"lengths",
			line([]float64{1, 2, 3}, []float64{1}),
			[]string{
				"chart: Series[0]: 3 X and 1 Y: want as many of one as of the other",
				"chart: Series[0]: 1 point: nothing to draw: want 2 or more",
			},
		},
		{
			"numbers",
			line([]float64{1, 2, 3}, []float64{1, math.NaN(), math.Inf(1)}),
			[]string{"chart: Series[0].Y[1]: NaN, the first of 2 such: want numbers from -1e+100 to 1e+100"},
		},
		{
			"on logarithmic axes",
			logarithmic,
			[]string{
				"chart: Series[0].X[0]: 0: want numbers from 1e-100 to 1e+100 on a logarithmic axis",
				"chart: Series[0].Y[0]: -1, the first of 2 such: want numbers from 1e-100 to 1e+100 on a logarithmic axis",
			},
		},
		{
			"on an axis of quantiles",
			shares,
			[]string{
				"chart: Series[0].X[0]: -0.1, the first of 2 such: want shares from 0 to 0.999999999 on an axis of quantiles",
				"chart: Spans[0]: from 0.5 to 1: want shares from 0 to 0.999999999 on an axis of quantiles",
			},
		},
		{"two kinds of an axis", both, []string{"chart: LogX and Quantiles: want one of them, or none"}},
		{
			"back in time",
			line([]float64{1, 3, 2}, []float64{1, 2, 3}),
			[]string{"chart: Series[0].X[2]: 2: want values that never fall"},
		},
		{
			"one place",
			line([]float64{3, 3}, []float64{1, 2}),
			[]string{"chart: X: all of it at 3: nothing to draw: want some distance"},
		},
		{
			"texts, and the rest",
			chart.Lines{
				Title: "two\nlines", XLabel: "\xff", YLabel: "\x1b[2J",
				Series: []chart.Series{{Name: "\uFFFE", X: []float64{math.Inf(-1)}, Y: []float64{0}}},
			},
			[]string{
				`chart: Title: "two\nlines": want one line of text`,
				`chart: XLabel: "\xff": want one line of text`,
				`chart: YLabel: "\x1b[2J": want one line of text`,
				`chart: Series[0].Name: "\ufffe": want one line of text`,
				"chart: Series[0]: 1 point: nothing to draw: want 2 or more",
				"chart: Series[0].X[0]: -Inf: want numbers from -1e+100 to 1e+100",
			},
		},
		{
			"spans",
			chart.Lines{
				Series: []chart.Series{{X: []float64{1, 2}, Y: []float64{0, 0}}},
				Spans:  []chart.Span{{"\n", math.NaN(), 0}, {"", 1, 0}, {"", 1, 1}},
			},
			[]string{
				`chart: Spans[0].Name: "\n": want one line of text`,
				"chart: Spans[0]: from NaN to 0: want numbers from -1e+100 to 1e+100",
				"chart: Spans[1]: from 1 to 0: want an end that is not before its start",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			forms := map[string]func(io.Writer) error{
				"terminal": func(w io.Writer) error { return test.chart.Terminal(w, 0) },
				"SVG":      test.chart.SVG,
			}
			for form, draw := range forms {
				var out strings.Builder
				err := draw(&out)
				if err == nil {
					t.Fatalf("%s: no error", form)
				}
				lines := strings.Split(err.Error(), "\n")
				if len(lines) != len(test.want) {
					t.Fatalf("%s: %d faults, want %d:\n%v", form, len(lines), len(test.want), err)
				}
				for i, want := range test.want {
					if lines[i] != want && want != "…" {
						t.Errorf("%s: got\n%s\nwant\n%s", form, lines[i], want)
					}
				}
				if out.Len() > 0 {
					t.Errorf("%s: drew all the same:\n%s", form, out.String())
				}
			}
		})
	}
}

// TestWriteFails: the writer's error comes through.
func TestWriteFails(t *testing.T) {
	if err := goodput().Terminal(closed{}, 0); err != io.ErrClosedPipe {
		t.Errorf("terminal: got %v", err)
	}
	if err := goodput().SVG(closed{}); err != io.ErrClosedPipe {
		t.Errorf("SVG: got %v", err)
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
