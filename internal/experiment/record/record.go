// Package record is what an experiment leaves behind for a document: its tables as data, written by the tests of package
// experiment and read by examples/experiments.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Folder is the environment variable that says where the tables are to be written. If it is empty they are not.
const Folder = "HOLDFAST_EXPERIMENTS"

// Table is a table that an experiment has printed.
type Table struct {
	Test    string // the test's name
	Title   string // "E7: …"
	Columns []string
	Rows    [][]string
	Notes   string
	Goals   []Goal
	Charts  []Chart
	Reduced bool // shorter than in full
}

// Goal is what was to be reached.
type Goal struct {
	What, Want, Got string
	Met             bool
}

// Chart is lines that say more than the table.
type Chart struct {
	Name                    string // of the file, without its ending
	Title, XLabel, YLabel   string
	Series                  []Series
	Spans                   []Span
	LogX, LogY, OfQuantiles bool
}

// Series is one line.
type Series struct {
	Name string
	X, Y []float64
}

// Span is a stretch of the X axis.
type Span struct {
	Name     string
	From, To float64
}

// Write writes the number-th table of a test into the folder.
func (t Table) Write(folder string, number int) error {
	data, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("table %d of %s: %w", number, t.Test, err)
	}
	name := fmt.Sprintf("%s-%02d.json", strings.ReplaceAll(t.Test, "/", "_"), number)
	return os.WriteFile(filepath.Join(folder, name), data, 0o644)
}

// Read reads the tables that are in the folder, in the order of their tests' names and numbers.
func Read(folder string) ([]Table, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json")) // in order
	if err != nil {
		return nil, err
	}
	all := make([]Table, len(paths))
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &all[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return all, nil
}
