package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

func ran() []test {
	return []test{
		{id: "E7", pkg: "retry", name: "TestExperimentE7", doc: "TestExperimentE7 is one [retry.Policy].\n\nThe model. 2*3 | 4.\n", tables: []record.Table{{
			Title: "E7: calls", Columns: []string{"", "published"}, Rows: [][]string{{"a|b", "1 -> 2"}}, Notes: "Goal: few.",
			Goals: []record.Goal{{What: "calls", Want: "at most 3", Got: "2", Met: true}, {What: "time", Want: "at most 1", Got: "5"}},
		}}},
		{id: "E7", pkg: ".", name: "TestExperimentE7", doc: "TestExperimentE7 is another.\n", failed: true, tables: []record.Table{{Title: "E7, stacks: more"}}},
		{id: "E9", pkg: "retry", name: "TestExperimentE9", doc: "TestExperimentE9 shows it.\n", tables: []record.Table{{
			Title: "E9: seconds", Goals: []record.Goal{{What: "seconds", Want: "below 5", Got: "4", Met: true}},
			Charts: []record.Chart{{Name: "e9", Title: "E9", XLabel: "x", YLabel: "y", Series: []record.Series{{Name: "s", X: []float64{1, 2}, Y: []float64{3, 4}}}}},
		}}},
	}
}

func TestDocument(t *testing.T) {
	d := newDocument(options{}, ran())
	if d.goals != 3 || d.missed != 1 || d.failed != 1 || len(d.parts) != 2 {
		t.Errorf("%d goals, %d missed, %d failed, %d experiments", d.goals, d.missed, d.failed, len(d.parts))
	}
	folder := filepath.Join(t.TempDir(), "new")
	if err := errors.Join(writable(folder), d.write(folder)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "experiments.md"))
	if err != nil {
		t.Fatal(err)
	}
	at := 0 // each comes after the one before
	for _, want := range []string{
		"| [E7](#e7-retry-amplification) | Retry amplification | `retry`, `holdfast` | 2 | **1 missed** |",
		"| [E9](#e9-metastable-failure) | Metastable failure | `retry` | 1 | all |",
		"E17",
		"## E7: Retry amplification", "### E7: `retry`", "This is one `retry.Policy`.", `The model. 2\*3 \| 4.`,
		"**Calls**", `| a\|b | 1 -> 2 |`, "Goal: few.", "| calls | at most 3 | 2 | yes |", "| time | at most 1 | 5 | **no** |",
		"### E7: `holdfast`", "This is another.", "**Stacks: more**",
		"## E9: Metastable failure", "This shows it.", "| seconds | below 5 | 4 | yes |", "![E9](e9.svg)",
	} {
		i := strings.Index(string(text[at:]), want)
		if i < 0 {
			t.Fatalf("no %q after\n%s", want, text[:at])
		}
		at += i
	}
	if svg, err := os.ReadFile(filepath.Join(folder, "e9.svg")); err != nil || !strings.Contains(string(svg), "</svg>") {
		t.Errorf("%v, %q", err, svg)
	}
	if whole := string(text); strings.Contains(whole, "a part of them only") {
		t.Error("all of them are said to be a part")
	}
	if part := newDocument(options{only: []string{"E9"}}, ran()[2:]); !strings.Contains(part.text.String(), "a part of them only") || part.missed != 0 {
		t.Errorf("a part: %d missed\n%s", part.missed, part.text.String())
	}
}

// The same tables make the same page and the same charts, to the byte.
func TestDocumentIsTheSameAgain(t *testing.T) {
	var first map[string]string
	for range 2 {
		folder := t.TempDir()
		if err := newDocument(options{}, ran()).write(folder); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, name := range []string{"experiments.md", "e9.svg"} {
			data, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(data)
			if first != nil && first[name] != files[name] {
				t.Errorf("%s differs", name)
			}
		}
		first = files
	}
}

// A chart that cannot be drawn is an error with its name.
func TestDocumentWithABadChart(t *testing.T) {
	tests := ran()
	tests[2].tables[0].Charts[0].Series = nil
	if err := newDocument(options{}, tests).write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "e9") {
		t.Error(err)
	}
}

// A folder that cannot be written to is an error before anything is run, and a trial leaves nothing there.
func TestShowWithABadFolder(t *testing.T) {
	folder := t.TempDir()
	if err := writable(folder); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := show(t.Context(), &out, options{only: []string{"E15"}, out: filepath.Join(file, "x")}); err == nil || out.Len() > 0 {
		t.Errorf("%v, after %q", err, out.String())
	}
}

// The page in the repository has the models as the tests state them now.
func TestThePageIsOfTheseTests(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "experiments.md"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := findTests(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range all {
		var d document
		d.paragraphs(shows.ReplaceAllString(of.doc, "This "))
		for _, p := range strings.Split(strings.TrimSpace(d.text.String()), "\n\n") {
			if !strings.Contains(string(page), "\n"+p+"\n") {
				t.Errorf("docs/experiments.md lacks a paragraph of %s in %s: go run ./examples/experiments writes it again\n%s", of.name, of.pkg, p)
			}
		}
	}
}
