package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Dots is a chart of what has names and no order: a row for each, and on it a mark for each series (William Cleveland's dot
// plot). It has the SVG form alone, and is not changed by being drawn.
type Dots struct {
	Title  string
	XLabel string
	Rows   []string // from the top down: one at least
	Series []Marks  // one at least, and as many as there are marks to tell them apart, four
	At     float64  // a line from top to bottom, for the marks to be seen against; zero: none

	// LogX makes the X axis logarithmic, in powers of ten. All values must be above zero.
	LogX bool
}

// Marks is one series: a value for each row; NaN is none.
type Marks struct {
	Name string // in the legend
	X    []float64
}

// glyphs are the shapes of the first series, the second and so on; their colors are those of lines.
var glyphs = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.RingGlyph{}, draw.PlusGlyph{}, draw.CrossGlyph{}}

const rowHeight = 16

// SVG draws d as a picture on white, 640 points wide and as high as its rows need. See [Lines.SVG].
func (d Dots) SVG(w io.Writer) error {
	if err := d.check(); err != nil {
		return err
	}
	p, entries, err := d.picture()
	if err != nil {
		return err
	}
	legend := vg.Length(len(entries)*legendLine) + gap
	canvas := vgsvg.New(svgWidth, vg.Length(len(d.Rows)*rowHeight)+6*margin+legend)
	drawOn(draw.New(canvas), p, entries, legend)
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	_, err = io.WriteString(w, accessible(svg.String(), d.Title, d.description()))
	return err
}

func (d Dots) check() error {
	f := &faults{}
	f.text("Title", d.Title)
	f.text("XLabel", d.XLabel)
	if len(d.Rows) == 0 {
		f.add("Rows: 0: want one or more")
	}
	for i, row := range d.Rows {
		f.text(fmt.Sprintf("Rows[%d]", i), row)
	}
	if n := len(d.Series); n == 0 || n > len(glyphs) {
		f.add("Series: %d: want 1 to %d", n, len(glyphs))
	}
	want, bad := badValue(d.scale())
	if d.At != 0 && bad(d.At) {
		f.add("At: %g: want %s", d.At, want)
	}
	for i, s := range d.Series {
		name := fmt.Sprintf("Series[%d]", i)
		f.text(name+".Name", s.Name)
		if len(s.X) != len(d.Rows) {
			f.add("%s: %d X: want one for each of %d rows", name, len(s.X), len(d.Rows))
		}
		f.first(name+".X", s.X, want, func(i int) bool { return !math.IsNaN(s.X[i]) && bad(s.X[i]) })
		if !slices.ContainsFunc(s.X, func(x float64) bool { return !math.IsNaN(x) }) {
			f.add("%s: nothing to draw: want a value that is not NaN", name)
		}
	}
	return errors.Join(f.errs...)
}

func (d Dots) scale() scale {
	if d.LogX {
		return logarithmic
	}
	return linear
}

// axis holds all values, the line, and zero if it is linear.
func (d Dots) axis() axis {
	from, to := math.Inf(1), math.Inf(-1)
	if !d.LogX {
		from, to = 0, 0
	}
	if d.At != 0 {
		from, to = min(from, d.At), max(to, d.At)
	}
	for _, s := range d.Series {
		for _, x := range s.X {
			if !math.IsNaN(x) {
				from, to = min(from, x), max(to, x)
			}
		}
	}
	return axisOver(from, to, d.scale(), 8)
}

func (d Dots) picture() (*plot.Plot, []plot.Legend, error) {
	x := d.axis()
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.Title.TextStyle, p.Title.Padding = d.Title, sans(15), 2*gap
	p.X.Label.Text = d.XLabel
	x.give(&p.X)
	d.names(&p.Y)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gray(0xD0), gray(0xE8)
	p.Add(grid)
	if d.At != 0 {
		line, err := plotter.NewLine(plotter.XYs{{X: x.place(d.At), Y: 0}, {X: x.place(d.At), Y: 1}})
		if err != nil {
			return nil, nil, fmt.Errorf("chart: %w", err)
		}
		line.Color, line.Width = gray(0x70), 1.5
		p.Add(line)
	}
	var entries []plot.Legend
	for i, s := range d.Series {
		marks, err := d.marks(s, x, i)
		if err != nil {
			return nil, nil, err
		}
		p.Add(marks)
		entries = append(entries, entry(s.Name, marks))
	}
	return p, entries, nil
}

// height is where row i is, from 0 at the bottom to 1.
func (d Dots) height(i int) float64 { return 1 - (float64(i)+0.5)/float64(len(d.Rows)) }

// names makes an axis of the rows.
func (d Dots) names(to *plot.Axis) {
	to.Min, to.Max, to.Padding = 0, 1, 0
	to.Tick.Label.Font = sans(11).Font
	to.Tick.Length = 0
	var ticks plot.ConstantTicks
	for i, row := range d.Rows {
		ticks = append(ticks, plot.Tick{Value: d.height(i), Label: row})
	}
	to.Tick.Marker = ticks
}

func (d Dots) marks(s Marks, x axis, i int) (*plotter.Scatter, error) {
	var points plotter.XYs
	for row, v := range s.X {
		if !math.IsNaN(v) {
			points = append(points, plotter.XY{X: x.place(v), Y: d.height(row)})
		}
	}
	marks, err := plotter.NewScatter(points)
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	marks.Color, marks.Radius, marks.Shape = looks[i].color, 4, glyphs[i]
	return marks, nil
}

// description says in words what is drawn.
func (d Dots) description() string {
	x := d.axis()
	var names []string
	for _, s := range d.Series {
		names = append(names, s.Name)
	}
	line := ""
	if d.At != 0 {
		line = fmt.Sprintf(" A line at %g.", d.At)
	}
	return fmt.Sprintf("Marks: %s. A row for each of: %s. Across: %s, from %s to %s.%s",
		strings.Join(names, "; "), strings.Join(d.Rows, "; "), d.XLabel, x.label(0), x.label(x.steps), line)
}
