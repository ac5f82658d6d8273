package chart

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"io"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lengths are in points.
const (
	svgWidth, svgHeight = 640, 360 // the height without the legend
	margin              = 16
	gap                 = 8
	legendLine          = 18
)

// SVG draws l as a picture on white, 640 points wide. The same chart is the same bytes. For those who do not see it
// there are a title, which is l's, and a description of its lines and axes.
func (l Lines) SVG(w io.Writer) error {
	if err := l.check(); err != nil {
		return err
	}
	p, entries, err := l.picture()
	if err != nil {
		return err
	}
	legend := vg.Length(len(entries)*legendLine) + gap
	canvas := vgsvg.New(svgWidth, svgHeight+legend)
	drawOn(draw.New(canvas), p, entries, legend)
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	_, err = io.WriteString(w, accessible(svg.String(), l.Title, l.description()))
	return err
}

// drawOn draws a plot on white, above its legend of that height.
func drawOn(all draw.Canvas, p *plot.Plot, entries []plot.Legend, legend vg.Length) {
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	inner := draw.Crop(all, margin, -margin, margin, -margin)
	p.Draw(draw.Crop(inner, 0, 0, legend, 0))
	for i, entry := range entries {
		below := vg.Length(len(entries)-1-i) * legendLine // those that come after it
		entry.Draw(draw.Crop(inner, 0, 0, below, 0))
	}
}

// picture is the plot, and the lines of its legend.
func (l Lines) picture() (*plot.Plot, []plot.Legend, error) {
	x, y := l.axes()
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.Title.TextStyle, p.Title.Padding = l.Title, sans(15), 2*gap
	p.X.Label.Text, p.Y.Label.Text = l.XLabel, l.YLabel
	x.give(&p.X)
	y.give(&p.Y)

	var lines, bands []plot.Legend // the first drawn is the lowest: bands, grid, lines
	for _, s := range l.Spans {
		band, err := s.band(x)
		if err != nil {
			return nil, nil, err
		}
		p.Add(band)
		bands = append(bands, entry(s.Name, band))
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gray(0xD0), gray(0xD0)
	p.Add(grid)
	for i, s := range l.Series {
		line, err := s.line(x, y, looks[i])
		if err != nil {
			return nil, nil, err
		}
		p.Add(line)
		lines = append(lines, entry(s.Name, line))
	}
	return p, append(lines, bands...), nil
}

// entry is a line of the legend, drawn by itself: with several in one the library leaves no choice of their distance.
func entry(name string, sample plot.Thumbnailer) plot.Legend {
	legend := plot.NewLegend()
	legend.TextStyle = sans(12)
	legend.TextStyle.XAlign, legend.TextStyle.YAlign = draw.XLeft, draw.YBottom // as it reckons with
	legend.Left, legend.ThumbnailWidth = true, 40
	legend.Add(name, sample)
	return legend
}

// band is s from the bottom to the top.
func (s Span) band(x axis) (*plotter.Polygon, error) {
	from, to := x.place(s.From), x.place(s.To)
	band, err := plotter.NewPolygon(plotter.XYs{{X: from, Y: 0}, {X: to, Y: 0}, {X: to, Y: 1}, {X: from, Y: 1}})
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	band.Color, band.LineStyle.Width = gray(0xEC), 0
	return band, nil
}

// line is s by its places on the axes.
func (s Series) line(x, y axis, look look) (*plotter.Line, error) {
	points := make(plotter.XYs, len(s.X))
	for i := range points {
		points[i].X, points[i].Y = x.place(s.X[i]), y.place(s.Y[i])
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	line.Color, line.Width = look.color, 2
	for _, length := range look.dashes {
		line.Dashes = append(line.Dashes, vg.Length(length))
	}
	return line, nil
}

// give makes to show a, from 0 to 1: the library chooses neither ticks nor scale.
func (a axis) give(to *plot.Axis) {
	to.Min, to.Max, to.Padding = 0, 1, 0
	to.Label.TextStyle, to.Label.Padding = sans(12), gap
	to.Label.TextStyle.XAlign, to.Label.TextStyle.YAlign = draw.XCenter, draw.YBottom
	to.Tick.Label.Font = sans(11).Font
	to.Tick.Length = 4
	var ticks plot.ConstantTicks
	for i := range a.steps + 1 {
		ticks = append(ticks, plot.Tick{Value: float64(i) / float64(a.steps), Label: a.label(i)})
	}
	to.Tick.Marker = ticks
}

func sans(size font.Length) text.Style {
	return text.Style{
		Color:   gray(0x20),
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		XAlign:  draw.XCenter,
		YAlign:  draw.YTop,
		Handler: plot.DefaultTextHandler,
	}
}

func gray(shade uint8) color.RGBA { return color.RGBA{shade, shade, shade, 0xFF} }

// accessible adds to a drawn SVG what the library has no word for: a title and a description, and what to take where
// the font it was measured with is not installed. Arial and Helvetica have its widths.
func accessible(svg, title, description string) string {
	const family = `style="font-family:Liberation Sans;`
	svg = strings.ReplaceAll(svg, family, `style="font-family:'Liberation Sans',Arial,Helvetica,sans-serif;`)
	head, body, _ := strings.Cut(svg, "<svg ")
	attributes, body, _ := strings.Cut(body, ">")
	return fmt.Sprintf("%s<svg role=\"img\" %s>\n<title>%s</title>\n<desc>%s</desc>%s",
		head, attributes, html.EscapeString(title), html.EscapeString(description), body)
}

// description says in words what is drawn.
func (l Lines) description() string {
	x, y := l.axes()
	var lines, spans []string
	for _, s := range l.Series {
		lines = append(lines, s.Name)
	}
	for _, s := range l.Spans {
		spans = append(spans, fmt.Sprintf(" Marked: %s, from %g to %g.", s.Name, s.From, s.To))
	}
	return fmt.Sprintf("Lines: %s. Across: %s, from %s to %s. Upwards: %s, from %s to %s.%s", strings.Join(lines, "; "),
		l.XLabel, x.label(0), x.label(x.steps), l.YLabel, y.label(0), y.label(y.steps), strings.Join(spans, ""))
}
