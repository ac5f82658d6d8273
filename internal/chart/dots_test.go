package chart_test

import (
	"encoding/xml"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/chart"
)

func ratios() chart.Dots {
	return chart.Dots{
		Title: "Beside the <fastest>", XLabel: "times", Rows: []string{"retry", "breaker & co", "bulkhead"}, At: 1, LogX: true,
		Series: []chart.Marks{
			{Name: "one core", X: []float64{0.1, 10, 1}},
			{Name: "two cores", X: []float64{0.5, math.NaN(), 100}},
		},
	}
}

func drawnDots(t *testing.T, d chart.Dots) (element, string) {
	t.Helper()
	var out strings.Builder
	if err := d.SVG(&out); err != nil {
		t.Fatal(err)
	}
	var root element
	if err := xml.Unmarshal([]byte(out.String()), &root); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return root, out.String()
}

// Each row has its name, each value its mark, and who does not see them is told what there is.
func TestDotsSVG(t *testing.T) {
	root, text := drawnDots(t, ratios())
	if _, again := drawnDots(t, ratios()); text != again {
		t.Error("the same chart is another picture")
	}
	if root.attr("role") != "img" || root.Children[0].Text != "Beside the <fastest>" {
		t.Errorf("title %+v", root.Children[0])
	}
	const want = "Marks: one core; two cores. A row for each of: retry; breaker & co; bulkhead. Across: times, from 0.1 to 100. A line at 1."
	if got := root.Children[1].Text; got != want {
		t.Errorf("description\n%s\nwant\n%s", got, want)
	}
	seen := map[string]bool{}
	for _, e := range root.all("text") {
		seen[strings.TrimSpace(e.Text)] = true
	}
	for _, name := range []string{"retry", "breaker & co", "bulkhead", "one core", "two cores", "times", "0.1", "1", "10", "100"} {
		if !seen[name] {
			t.Errorf("no %q in the picture", name)
		}
	}
	// A mark is left out where there is no value.
	fewer := ratios()
	fewer.Series[0].X[1] = math.NaN()
	if _, shorter := drawnDots(t, fewer); strings.Count(shorter, "<path") != strings.Count(text, "<path")-1 {
		t.Errorf("%d paths without a value, %d with it", strings.Count(shorter, "<path"), strings.Count(text, "<path"))
	}
	// More rows make it higher, and a linear axis has zero on it.
	more := ratios()
	more.LogX, more.Rows = false, append(more.Rows, "hedge")
	for i := range more.Series {
		more.Series[i].X = append(more.Series[i].X, 3)
	}
	higher, _ := drawnDots(t, more)
	if higher.attr("height") <= root.attr("height") || !strings.Contains(higher.Children[1].Text, "from 0 to 100") {
		t.Errorf("%s high, %s", higher.attr("height"), higher.Children[1].Text)
	}
}

// All that is wrong is in one error.
func TestDotsBad(t *testing.T) {
	bad := chart.Dots{
		Title: "a\nb", At: -1, LogX: true, Rows: []string{"a", "b\x00"},
		Series: []chart.Marks{{Name: "s", X: []float64{1}}, {Name: "zero", X: []float64{0, math.Inf(1)}}, {Name: "none", X: []float64{math.NaN(), math.NaN()}}},
	}
	err := bad.SVG(new(strings.Builder))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`Title: "a\nb": want one line of text`, `Rows[1]: "b\x00": want one line`, "At: -1: want numbers from",
		"Series[0]: 1 X: want one for each of 2 rows", "Series[1].X[0]: 0, the first of 2 such: want numbers", "Series[2]: nothing to draw",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if err := (chart.Dots{}).SVG(new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "Rows: 0") || !strings.Contains(err.Error(), "Series: 0: want 1 to 4") {
		t.Error(err)
	}
}
