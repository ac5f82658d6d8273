package chart

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"
)

const (
	defaultWidth = 80
	leastWidth   = 40
	rows         = 15 // or a few less, so that each tick has one
)

// Terminal draws l with characters, on lines of the given width: 80 columns if zero, 40 at least. There is no color in
// it, each line has a mark of its own. A title or a name that is longer than the width goes beyond it.
//
// A column shows where the line is, and not each point: of many points in one column most are not seen.
func (l Lines) Terminal(w io.Writer, width int) error {
	if err := l.check(); err != nil {
		return err
	}
	width = cmp.Or(width, defaultWidth)
	if width < leastWidth {
		return fmt.Errorf("chart: width: %d: want %d columns or more", width, leastWidth)
	}
	var out strings.Builder
	if l.Title != "" {
		fmt.Fprintf(&out, "%s\n\n", l.Title)
	}
	if l.YLabel != "" {
		fmt.Fprintf(&out, "  %s\n", l.YLabel)
	}
	out.WriteString(l.plot(width))
	out.WriteString(l.legend(width))
	_, err := io.WriteString(w, out.String())
	return err
}

// plot is the lines, the axes and the spans.
func (l Lines) plot(width int) string {
	x, y := l.axes()
	perStep := max(rows/y.steps, 1)
	height := y.steps * perStep

	widest := 0
	for i := range y.steps + 1 {
		widest = max(widest, utf8.RuneCountInString(y.label(i)))
	}
	const offset = 3 // asciigraph's own, between the numbers and the lines
	last := utf8.RuneCountInString(x.label(x.steps))
	columns := width - widest - offset - last/2

	// The library is given rows in place of values, so that it is here that the ticks are chosen.
	data := make([][]float64, len(l.Series))
	marks := make([]asciigraph.CharSet, len(l.Series))
	for i, s := range l.Series {
		data[i] = s.sampled(x, y, columns)
		for j := range data[i] {
			data[i][j] *= float64(height)
		}
		marks[i] = asciigraph.CreateCharSet(looks[i].mark)
	}
	lines := asciigraph.PlotMany(data,
		asciigraph.Height(height),
		asciigraph.LowerBound(0),
		asciigraph.UpperBound(float64(height)),
		asciigraph.Offset(offset),
		asciigraph.YAxisValueFormatter(func(row float64) string {
			if row := int(math.Round(row)); row%perStep == 0 {
				return y.label(row / perStep)
			}
			return ""
		}),
		asciigraph.XAxisRange(0, float64(x.steps)),
		asciigraph.XAxisTickCount(x.steps+1),
		asciigraph.XAxisValueFormatter(func(tick float64) string { return x.label(int(math.Round(tick))) }),
		asciigraph.SeriesChars(marks...),
	)
	if len(l.Spans) > 0 {
		lines += "\n" + strings.Repeat(" ", widest+offset) + l.spans(x, columns)
	}
	return lines + "\n"
}

const spanMark = "="

// spans is the row below the axis.
func (l Lines) spans(x axis, columns int) string {
	row := strings.Split(strings.Repeat(" ", columns), "")
	for _, s := range l.Spans {
		column := func(v float64) int { return int(math.Round(x.place(v) * float64(columns-1))) }
		for i := column(s.From); i <= column(s.To); i++ {
			row[i] = spanMark
		}
	}
	return strings.TrimRight(strings.Join(row, ""), " ")
}

// sampled is where the line is in each column, from 0 at the bottom to 1 at the top; NaN where there is no line.
func (s Series) sampled(x, y axis, columns int) []float64 {
	at := make([]float64, len(s.X)) // the points' columns
	for i, v := range s.X {
		at[i] = x.place(v) * float64(columns-1)
	}
	line := make([]float64, columns)
	for i := range line {
		column := float64(i)
		// Half a column of grace, so that the shortest line is in one column at least.
		if column < at[0]-0.5 || column > at[len(at)-1]+0.5 {
			line[i] = math.NaN()
			continue
		}
		line[i] = y.place(s.Y[0])
		if right := sort.Search(len(at), func(j int) bool { return at[j] > column }); right == len(at) {
			line[i] = y.place(s.Y[right-1])
		} else if right > 0 {
			left := right - 1
			share := (column - at[left]) / (at[right] - at[left])
			line[i] = (1-share)*y.place(s.Y[left]) + share*y.place(s.Y[right])
		}
	}
	return line
}

// legend is the X label, and each mark with its name.
func (l Lines) legend(width int) string {
	var out strings.Builder
	if l.XLabel != "" {
		fmt.Fprintf(&out, "%*s\n", width, l.XLabel)
	}
	out.WriteString("\n")
	entry := func(mark, name string) { fmt.Fprintf(&out, "  %s  %s\n", strings.Repeat(mark, 3), name) }
	for i, s := range l.Series {
		entry(looks[i].mark, s.Name)
	}
	for _, s := range l.Spans {
		entry(spanMark, s.Name)
	}
	return out.String()
}
