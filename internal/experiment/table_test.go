package experiment_test

import (
	"math"
	"testing"

	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// A table is written with its rows, and with whether each goal was met; twice in one test under two names.
func TestTableIsWritten(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(record.Folder, folder)
	span := new(experiment.Span)
	span.Add(2)
	span.Add(3)
	for range 2 {
		r := experiment.NewTable("E0: title", "a", "b")
		r.Row("1", span.In("%.0f"))
		r.AtMost(t, "most", span, 3)
		r.AtLeast(t, "least", span, 1.5)
		r.Below(t, "below", span, 4)
		r.Between(t, "between", span, 2, 3)
		r.Print(t, "\nnotes\n")
	}
	all, err := record.Read(folder)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d tables, %v", len(all), err)
	}
	got := all[1]
	if got.Test != t.Name() || got.Title != "E0: title" || got.Notes != "notes" || len(got.Rows) != 1 || got.Rows[0][1] != "2 to 3" {
		t.Errorf("%+v", got)
	}
	for i, want := range []record.Goal{
		{What: "most", Want: "at most 3", Got: "2 to 3", Met: true},
		{What: "least", Want: "at least 1.5", Got: "2 to 3", Met: true},
		{What: "below", Want: "below 4", Got: "2 to 3", Met: true},
		{What: "between", Want: "2 to 3", Got: "2 to 3", Met: true},
	} {
		if i >= len(got.Goals) || got.Goals[i] != want {
			t.Errorf("goals %+v, want %+v at %d", got.Goals, want, i)
		}
	}
}

// complaints counts what a test would have failed of.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Helper()               {}
func (c *complaints) Errorf(string, ...any) { c.n++ }

// What is met fails no test, and what is not met fails it, which is what the table says too: one seed is enough, and so is one of
// which nothing can be said.
func TestGoals(t *testing.T) {
	for _, test := range []struct {
		name  string
		seeds []float64
		met   [4]bool // at most 3, below 3, at least 2, between 2 and 3
	}{
		{"all within", []float64{2, 2.5, 2.9}, [4]bool{true, true, true, true}},
		{"one at the limit", []float64{2, 3}, [4]bool{true, false, true, true}},
		{"one above", []float64{2, 3.1, 2}, [4]bool{false, false, true, false}},
		{"one below", []float64{2, 1.9, 2}, [4]bool{true, true, false, false}},
		{"one is no number", []float64{2, math.NaN(), 2}, [4]bool{}},
		{"none", nil, [4]bool{}},
	} {
		folder := t.TempDir()
		t.Setenv(record.Folder, folder)
		span, c := new(experiment.Span), &complaints{TB: t}
		for _, x := range test.seeds {
			span.Add(x)
		}
		r, failed := experiment.NewTable("E0: title", "a"), [4]bool{}
		for i, goal := range []func(){
			func() { r.AtMost(c, "most", span, 3) },
			func() { r.Below(c, "below", span, 3) },
			func() { r.AtLeast(c, "least", span, 2) },
			func() { r.Between(c, "between", span, 2, 3) },
		} {
			before := c.n
			goal()
			failed[i] = c.n > before
		}
		r.Print(t, "")
		all, err := record.Read(folder)
		if err != nil || len(all) != 1 || len(all[0].Goals) != len(test.met) {
			t.Fatalf("%s: %+v, %v", test.name, all, err)
		}
		for i, met := range test.met {
			if all[0].Goals[i].Met != met || failed[i] == met {
				t.Errorf("%s: goal %q: the table says %v, the test has failed: %v; want %v", test.name, all[0].Goals[i].What, all[0].Goals[i].Met, failed[i], met)
			}
		}
	}
}
