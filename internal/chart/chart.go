// Package chart draws lines, on a terminal and as an SVG for a page or a report; and as an SVG what has names and no order
// ([Dots]). It is for holdfast's own demo, experiments and benchmarks, and a module of its own so that the libraries it draws
// with reach no user of holdfast.
//
//	goodput := chart.Lines{
//		Title:  "Goodput at three times the capacity",
//		XLabel: "seconds",
//		YLabel: "answers in time, a second",
//		Series: []chart.Series{
//			{Name: "bare", X: seconds, Y: bare},
//			{Name: "with a bulkhead", X: seconds, Y: held},
//		},
//	}
//	err := goodput.Terminal(os.Stdout, 80)
//	err = goodput.SVG(file)
//
// Both forms have the same axes. They begin and end at a tick, and a linear Y axis has zero on it, so that a line
// twice as high is twice as much.
package chart

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lines is a chart of one or more lines. It is not changed by being drawn.
type Lines struct {
	Title          string
	XLabel, YLabel string

	// Series are drawn in their order, later ones over earlier ones: one at least, and as many as there are marks to
	// tell them apart, six.
	Series []Series

	// Spans are stretches of the X axis that are marked: an outage, an overload. None is fine.
	Spans []Span

	// LogX and LogY make an axis logarithmic, in powers of ten. All its values must be above zero.
	LogX, LogY bool

	// Quantiles makes the X axis one of quantiles, which shows the tail of a distribution: X are shares from 0 to below 1,
	// and 0, 0.9, 0.99 and 0.999 are as far from each other. Not with LogX.
	Quantiles bool
}

// Series is one line.
type Series struct {
	Name string // in the legend

	// X and Y are the points, joined by straight lines: two at least, as many X as Y, X never falling.
	X, Y []float64
}

// Span is a stretch of the X axis.
type Span struct {
	Name     string // in the legend
	From, To float64
}

// most bounds the values, so that no sum or difference of two is infinite.
const most = 1e100

// mostShare bounds shares: closer to 1 no label can be read.
const mostShare = 1 - 1e-9

// check returns all that is wrong with l, a line for each fault, or nil.
func (l Lines) check() error {
	f := &faults{}
	f.text("Title", l.Title)
	f.text("XLabel", l.XLabel)
	f.text("YLabel", l.YLabel)
	if n := len(l.Series); n == 0 || n > len(looks) {
		f.add("Series: %d: want 1 to %d", n, len(looks))
	}
	if l.LogX && l.Quantiles {
		f.add("LogX and Quantiles: want one of them, or none")
	}
	x, y := l.scales()
	for i, s := range l.Series {
		name := fmt.Sprintf("Series[%d]", i)
		f.text(name+".Name", s.Name)
		if len(s.X) != len(s.Y) {
			f.add("%s: %d X and %d Y: want as many of one as of the other", name, len(s.X), len(s.Y))
		}
		if n := min(len(s.X), len(s.Y)); n < 2 {
			f.add("%s: %s: nothing to draw: want 2 or more", name, points(n))
		}
		f.values(name+".X", s.X, x)
		f.values(name+".Y", s.Y, y)
		f.rising(name+".X", s.X)
	}
	for i, s := range l.Spans {
		name := fmt.Sprintf("Spans[%d]", i)
		f.text(name+".Name", s.Name)
		if want, bad := badValue(x); bad(s.From) || bad(s.To) {
			f.add("%s: from %g to %g: want %s", name, s.From, s.To, want)
		} else if s.To < s.From {
			f.add("%s: from %g to %g: want an end that is not before its start", name, s.From, s.To)
		}
	}
	if len(f.errs) == 0 {
		if from, to := l.extent(Series.xs); flat(from, to) {
			f.add("X: all of it at %g: nothing to draw: want some distance", from)
		}
	}
	return errors.Join(f.errs...)
}

// scales are those of the axes.
func (l Lines) scales() (x, y scale) {
	if l.Quantiles {
		x = nines
	}
	if l.LogX {
		x = logarithmic
	}
	if l.LogY {
		y = logarithmic
	}
	return x, y
}

func (s Series) xs() []float64 { return s.X }
func (s Series) ys() []float64 { return s.Y }

// extent is the least and the greatest of all values, of X or of Y.
func (l Lines) extent(values func(Series) []float64) (from, to float64) {
	from, to = math.Inf(1), math.Inf(-1)
	for _, s := range l.Series {
		for _, v := range values(s) {
			from, to = min(from, v), max(to, v)
		}
	}
	return from, to
}

// axes are those of both forms. l has passed check.
func (l Lines) axes() (x, y axis) {
	from, to := l.extent(Series.xs)
	for _, s := range l.Spans {
		from, to = min(from, s.From), max(to, s.To)
	}
	onX, onY := l.scales()
	x = axisOver(from, to, onX, 8)
	from, to = l.extent(Series.ys)
	if !l.LogY {
		from, to = min(from, 0), max(to, 0)
	}
	return x, axisOver(from, to, onY, 5)
}

// faults gathers all that is wrong with a chart.
type faults struct{ errs []error }

func (f *faults) add(format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("chart: "+format, args...))
}

// text wants what fits in a line of a terminal and in XML.
func (f *faults) text(name, s string) {
	bad := func(r rune) bool { return unicode.IsControl(r) || r == '\uFFFE' || r == '\uFFFF' }
	if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		f.add("%s: %q: want one line of text", name, s)
	}
}

// badValue says what no axis can hold, and what is wanted of it.
func badValue(on scale) (want string, bad func(float64) bool) {
	switch on {
	case logarithmic:
		return fmt.Sprintf("numbers from %g to %g on a logarithmic axis", 1/most, most),
			func(v float64) bool { return !(1/most <= v && v <= most) }
	case nines:
		return fmt.Sprintf("shares from 0 to %.9g on an axis of quantiles", mostShare),
			func(v float64) bool { return !(0 <= v && v <= mostShare) }
	}
	return fmt.Sprintf("numbers from %g to %g", -most, most), func(v float64) bool { return !(math.Abs(v) <= most) }
}

func (f *faults) values(name string, values []float64, on scale) {
	want, bad := badValue(on)
	f.first(name, values, want, func(i int) bool { return bad(values[i]) })
}

func (f *faults) rising(name string, values []float64) {
	f.first(name, values, "values that never fall", func(i int) bool { return i > 0 && values[i] < values[i-1] })
}

// first reports the first bad value and how many there are: a line for each could be a thousand.
func (f *faults) first(name string, values []float64, want string, bad func(i int) bool) {
	var found []int
	for i := range values {
		if bad(i) {
			found = append(found, i)
		}
	}
	switch n := len(found); n {
	case 0:
	case 1:
		f.add("%s[%d]: %g: want %s", name, found[0], values[found[0]], want)
	default:
		f.add("%s[%d]: %g, the first of %d such: want %s", name, found[0], values[found[0]], n, want)
	}
}

func points(n int) string {
	if n == 1 {
		return "1 point"
	}
	return fmt.Sprintf("%d points", n)
}
