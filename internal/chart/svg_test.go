package chart_test

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// element is a piece of an SVG, with all that is in it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// all is every element of a name, at any depth.
func (e element) all(name string) (found []element) {
	if e.XMLName.Local == name {
		found = append(found, e)
	}
	for _, child := range e.Children {
		found = append(found, child.all(name)...)
	}
	return found
}

func drawn(t *testing.T, c chart.Lines) (element, string) {
	t.Helper()
	var out strings.Builder
	if err := c.SVG(&out); err != nil {
		t.Fatal(err)
	}
	var root element
	if err := xml.Unmarshal([]byte(out.String()), &root); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return root, out.String()
}

func TestSVG(t *testing.T) {
	root, text := drawn(t, goodput())
	if _, again := drawn(t, goodput()); text != again {
		t.Error("the same chart is another picture")
	}
	if root.attr("role") != "img" || root.Children[0].XMLName.Local != "title" || root.Children[0].Text != "Goodput & <capacity>" {
		t.Errorf("for those who do not see it: role %q, first %+v", root.attr("role"), root.Children[0])
	}
	const desc = "Lines: bare; with a bulkhead. Across: seconds, from 0 to 10. " +
		"Upwards: answers in time, a second, from 0 to 400. Marked: overload, from 3 to 7."
	if got := root.all("desc"); len(got) != 1 || got[0].Text != desc {
		t.Errorf("the description: %+v", got)
	}
	var words []string
	for _, e := range root.all("text") {
		words = append(words, e.Text)
		if !strings.Contains(e.attr("style"), "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;") {
			t.Errorf("%q: %s", e.Text, e.attr("style"))
		}
	}
	for _, want := range []string{"Goodput & <capacity>", "seconds", "answers in time, a second", "bare", "with a bulkhead", "overload", "10", "400"} {
		if !slices.Contains(words, want) {
			t.Errorf("no %q among %q", want, words)
		}
	}
	if background := root.all("path")[0]; background.attr("style") != "fill:#FFFFFF" || background.attr("d") != whole(root) {
		t.Errorf("the background: %+v", background)
	}
}

// TestSVGSpans: a span is where it is on the axis, as high as the grid, and below the lines.
func TestSVGSpans(t *testing.T) {
	root, _ := drawn(t, goodput())
	line := pointsOf(t, linesOf(root)[0])
	bottom, top := heights(t, root)
	paths := root.all("path")
	at := slices.IndexFunc(paths, func(e element) bool { return e.attr("style") == "fill:#ECECEC" })
	if at < 0 || at > slices.IndexFunc(paths, func(e element) bool { return strings.Contains(e.attr("style"), "stroke-width:2") }) {
		t.Fatalf("it is path %d: want one before the lines", at)
	}
	left, right := line[1][0], line[3][0] // 3 and 7 seconds
	want := fmt.Sprint([][2]float64{{left, bottom}, {right, bottom}, {right, top}, {left, top}})
	if got := fmt.Sprint(pointsOf(t, paths[at])[:4]); got != want {
		t.Errorf("at %s, want %s", got, want)
	}
}

// whole is the path around the picture.
func whole(root element) string {
	var w, h float64
	fmt.Sscanf(root.attr("viewBox"), "0 0 %g %g", &w, &h)
	return fmt.Sprintf("M0,0L%g,0L%g,%gL0,%gZ", w, w, h, h)
}

// TestSVGLines: each line is where its values are, and differs from the others in color and in dashes.
func TestSVGLines(t *testing.T) {
	for name, test := range map[string]struct {
		chart chart.Lines
		want  [][][2]float64 // the points of each line, from 0 to 1 of the way along the axes
	}{
		"goodput": {goodput(), [][][2]float64{
			{{0, 0.7}, {0.3, 0.7}, {0.4, 0}, {0.7, 0}, {1, 0.7}},
			{{0, 0.7}, {0.3, 0.7}, {0.4, 0.975}, {0.7, 0.975}, {1, 0.7}},
		}},
		"latency": {latency(), [][][2]float64{
			{{0, 0.1003}, {1. / 3, 0.1590}, {2. / 3, 0.6150}, {1, 0.9847}},
			{{0, 0.1003}, {1. / 3, 0.1590}, {2. / 3, 0.2330}, {1, 0.4337}},
		}},
		"tail": {tail(), [][][2]float64{
			{{0, 0.004}, {1. / 3, 0.006}, {2. / 3, 0.14}, {1, 1}},
			{{0, 0.004}, {1. / 3, 0.006}, {2. / 3, 0.01}, {1, 0.04}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			root, _ := drawn(t, test.chart)
			looks := make(map[string]bool)
			for i, e := range linesOf(root)[:len(test.want)] { // the legend's come after
				// All is between the same first point, at the left, and the last, at the right.
				points := pointsOf(t, e)
				if len(points) != len(test.want[i]) {
					t.Fatalf("%d points, want %d", len(points), len(test.want[i]))
				}
				left, right := points[0][0], points[len(points)-1][0]
				bottom, top := heights(t, root)
				for j, p := range points {
					got := [2]float64{(p[0] - left) / (right - left), (p[1] - bottom) / (top - bottom)}
					if math.Abs(got[0]-test.want[i][j][0]) > 0.001 || math.Abs(got[1]-test.want[i][j][1]) > 0.001 {
						t.Errorf("line %d, point %d: at %.4f, want %.4f", i, j, got, test.want[i][j])
					}
				}
				stroke, rest, _ := strings.Cut(e.attr("style"), ";stroke-width:2")
				looks[stroke], looks[rest] = true, true
			}
			if len(looks) != 2*len(test.want) {
				t.Errorf("the lines are too much alike: %v", looks)
			}
		})
	}
}

// linesOf are the paths drawn as wide as lines are, and nothing else is.
func linesOf(root element) (lines []element) {
	for _, e := range root.all("path") {
		if strings.Contains(e.attr("style"), "stroke-width:2") {
			lines = append(lines, e)
		}
	}
	return lines
}

// heights are where the Y axis begins and ends: the ends of the grid's first vertical line.
func heights(t *testing.T, root element) (bottom, top float64) {
	t.Helper()
	for _, e := range root.all("path") {
		if strings.Contains(e.attr("style"), "stroke:#D0D0D0") {
			points := pointsOf(t, e)
			return points[0][1], points[1][1]
		}
	}
	t.Fatal("no grid")
	return 0, 0
}

func pointsOf(t *testing.T, path element) (points [][2]float64) {
	t.Helper()
	for _, field := range strings.FieldsFunc(path.attr("d"), func(r rune) bool { return r == 'M' || r == 'L' }) {
		var p [2]float64
		if _, err := fmt.Sscanf(field, "%g,%g", &p[0], &p[1]); err != nil {
			t.Fatalf("%q: %v", field, err)
		}
		points = append(points, p)
	}
	return points
}
