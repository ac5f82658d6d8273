package experiment

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// Table is what an experiment prints. With the environment variable of package record it is also written as data, with its
// goals and charts, for a document.
type Table struct {
	text   strings.Builder
	table  *tabwriter.Writer
	began  time.Time
	record record.Table
}

// NewTable begins a table.
func NewTable(title string, columns ...string) *Table {
	r := &Table{began: time.Now(), record: record.Table{Title: title, Columns: columns, Reduced: Reduced()}}
	fmt.Fprintf(&r.text, "\n%s\n\n", title)
	r.table = tabwriter.NewWriter(&r.text, 0, 0, 1, ' ', 0)
	r.print(columns)
	lines := make([]string, len(columns))
	for i, c := range columns {
		lines[i] = strings.Repeat("-", len(c))
	}
	r.print(lines)
	return r
}

func (r *Table) print(cells []string) { fmt.Fprintf(r.table, "  %s\n", strings.Join(cells, "\t| ")) }

// Row adds a row.
func (r *Table) Row(cells ...string) {
	r.record.Rows = append(r.record.Rows, cells)
	r.print(cells)
}

// Print prints the table with notes under it.
func (r *Table) Print(t *testing.T, notes string) {
	t.Helper()
	if err := r.table.Flush(); err != nil {
		t.Error(err)
	}
	notes = strings.TrimSpace(notes)
	fmt.Fprintf(&r.text, "\n%s\nReal time: %.1f s.\n", notes, time.Since(r.began).Seconds())
	if Reduced() {
		r.text.WriteString("Reduced, by -short or by the race detector: without them there are more runs, and longer ones.\n")
	}
	t.Log(r.text.String())
	if folder := os.Getenv(record.Folder); folder != "" {
		r.record.Test, r.record.Notes = t.Name(), notes
		if err := r.record.Write(folder, tablesOf(t)); err != nil {
			t.Error(err)
		}
	}
}

var (
	printedMu sync.Mutex
	printed   = map[string]int{} // tables of each test
)

// tablesOf counts the tables of a test, this one included.
func tablesOf(t *testing.T) int {
	printedMu.Lock()
	defer printedMu.Unlock()
	printed[t.Name()]++
	return printed[t.Name()]
}

// AtMost is Span.AtMost for a goal of the experiment.
func (r *Table) AtMost(t testing.TB, what string, s *Span, limit float64) {
	t.Helper()
	r.goal(what, "at most "+number(limit), s, s.AtMost(t, what, limit))
}

// Below is Span.Below for a goal of the experiment.
func (r *Table) Below(t testing.TB, what string, s *Span, limit float64) {
	t.Helper()
	r.goal(what, "below "+number(limit), s, s.Below(t, what, limit))
}

// AtLeast is Span.AtLeast for a goal of the experiment.
func (r *Table) AtLeast(t testing.TB, what string, s *Span, limit float64) {
	t.Helper()
	r.goal(what, "at least "+number(limit), s, s.AtLeast(t, what, limit))
}

// Between is AtLeast and AtMost at once.
func (r *Table) Between(t testing.TB, what string, s *Span, least, most float64) {
	t.Helper()
	enough, notTooMuch := s.AtLeast(t, what, least), s.AtMost(t, what, most)
	r.goal(what, number(least)+" to "+number(most), s, enough && notTooMuch)
}

func (r *Table) goal(what, want string, s *Span, met bool) {
	got := "nothing"
	if s.known {
		got = s.In("%.5g")
	}
	r.record.Goals = append(r.record.Goals, record.Goal{What: what, Want: want, Got: got, Met: met})
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// Chart adds a chart, which is for the document only.
func (r *Table) Chart(c record.Chart) { r.record.Charts = append(r.record.Charts, c) }
