package main

import (
	"bytes"
	"os"

	"github.com/holdfast-go/holdfast/internal/chart"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// draw draws a chart into a file.
func draw(path string, c record.Chart) error {
	lines := chart.Lines{
		Title: c.Title, XLabel: c.XLabel, YLabel: c.YLabel,
		LogX: c.LogX, LogY: c.LogY, Quantiles: c.OfQuantiles,
	}
	for _, s := range c.Series {
		lines.Series = append(lines.Series, chart.Series{Name: s.Name, X: s.X, Y: s.Y})
	}
	for _, s := range c.Spans {
		lines.Spans = append(lines.Spans, chart.Span{Name: s.Name, From: s.From, To: s.To})
	}
	var drawn bytes.Buffer
	if err := lines.SVG(&drawn); err != nil {
		return err
	}
	return os.WriteFile(path, drawn.Bytes(), 0o644)
}
