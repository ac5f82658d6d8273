package main

import (
	"math"
	"path/filepath"
	"slices"

	"github.com/holdfast-go/holdfast/internal/chart"
)

const (
	jobsFile  = "results-Jobs.svg"
	jobsTitle = "Every job, over the fastest peer that does it"
)

// jobsChart is each job that a peer does too: holdfast's time over that of the fastest, and failsafe-go's, which does most of
// them.
func (r *report) jobsChart() chart.Dots {
	d := chart.Dots{Title: jobsTitle, XLabel: "times the fastest peer's time", At: 1, LogX: true}
	marks := []struct {
		name, side string
		cores      int
	}{{"holdfast, one core", ours, 1}, {"holdfast, two cores", ours, 2}, {"failsafe-go, one core", "failsafe-go", 1}}
	for _, m := range marks {
		d.Series = append(d.Series, chart.Marks{Name: m.name})
	}
	for _, j := range jobs {
		if r.fastest(j, 1) == "" || len(r.results[j.key(ours, 1)]) == 0 {
			continue
		}
		d.Rows = append(d.Rows, j.id("")+", "+r.fastest(j, 1))
		for i, m := range marks {
			d.Series[i].X = append(d.Series[i].X, orNone(r.against(j, m.side, r.fastest(j, m.cores), m.cores)))
		}
	}
	d.Series = slices.DeleteFunc(d.Series, func(m chart.Marks) bool { return !slices.ContainsFunc(m.X, measured) })
	return d
}

func measured(x float64) bool { return !math.IsNaN(x) }

// orNone is NaN for a ratio that was not measured.
func orNone(q float64) float64 {
	if q == 0 {
		return math.NaN()
	}
	return q
}

func (r *report) drawJobs(dir string) error {
	d := r.jobsChart()
	if len(d.Rows) == 0 {
		return nil
	}
	return write(filepath.Join(dir, jobsFile), d.SVG)
}
