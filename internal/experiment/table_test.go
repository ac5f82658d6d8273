package experiment_test

import (
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
