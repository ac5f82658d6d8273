package chart_test

import (
	"encoding/xml"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// FuzzLines: any values are drawn or refused, and the same in both forms. data is X, Y, X, Y, … of two lines by turns.
func FuzzLines(f *testing.F) {
	for _, data := range []string{
		"\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x01\x00\x01\x00",
		"\x01\x64\x01\x9c\x02\x64\xff\x64\x01\x64\x01\x9c\x01\x64\x01\x64",
		"\xff\x64\x01\x9c\xff\x64\x01\x9c\x01\x64\x01\x9c\x01\x9c\x01\x9c",
		"\x01\x00\x80\x80\x01\x00\x00\x80\x02\x00\x01\x80\x02\x00\x01\x00",
	} {
		f.Add([]byte(data), "name", false, false, false)
		f.Add([]byte(data), "name", true, true, false)
	}
	f.Add([]byte("\x00\x00\x01\x00\x01\xff\x01\x00\x05\xff\x02\x00\x63\xfe\x02\x00"), "name", false, false, true) // 0, 0.1, 0.5, 0.99
	f.Fuzz(func(t *testing.T, data []byte, name string, logX, logY, quantiles bool) {
		series := []chart.Series{{Name: name}, {Name: name}}
		for i := 0; len(data) >= 4; i, data = i+1, data[4:] {
			s := &series[i%2]
			s.X = append(s.X, number(data[0], data[1]))
			s.Y = append(s.Y, number(data[2], data[3]))
		}
		for _, s := range series {
			slices.Sort(s.X)
		}
		c := chart.Lines{Title: name, XLabel: name, YLabel: name, Series: series, LogX: logX, LogY: logY, Quantiles: quantiles}
		if xs := series[0].X; len(name)%2 == 0 && len(xs) > 0 {
			c.Spans = []chart.Span{{name, xs[0] / 2, xs[len(xs)-1] * 2}}
		}
		var text, svg strings.Builder
		errText, errSVG := c.Terminal(&text, 0), c.SVG(&svg)
		if (errText == nil) != (errSVG == nil) {
			t.Fatalf("on a terminal: %v; as an SVG: %v", errText, errSVG)
		}
		if errText != nil {
			return
		}
		for line := range strings.Lines(text.String()) {
			if n := utf8.RuneCountInString(line) - 1; n > 80 && n > 10+utf8.RuneCountInString(name) {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		if err := xml.Unmarshal([]byte(svg.String()), new(element)); err != nil {
			t.Errorf("%v in\n%s", err, svg.String())
		}
		if strings.Contains(text.String()+svg.String(), "NaN") && !strings.Contains(name, "NaN") {
			t.Errorf("not a number:\n%s\n%s", text.String(), svg.String())
		}
	})
}

// number is one of all magnitudes, or none at all.
func number(digits, exponent byte) float64 {
	m, e := float64(int8(digits)), int(int8(exponent))
	if e == -128 {
		return [...]float64{math.NaN(), math.Inf(1), math.Inf(-1), 5e-324}[digits%4]
	}
	return m * math.Pow10(e)
}
