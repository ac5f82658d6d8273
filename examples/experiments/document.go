package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// document is what is written of the experiments.
type document struct {
	text                  strings.Builder
	parts                 [][]test // the tests of each experiment
	charts                []record.Chart
	goals, missed, failed int
	complete              bool
}

// newDocument makes the document of tests that have been run; those of one experiment follow each other.
func newDocument(o options, tests []test) *document {
	d := &document{complete: len(o.only) == 0}
	for _, t := range tests {
		if n := len(d.parts); n > 0 && d.parts[n-1][0].id == t.id {
			d.parts[n-1] = append(d.parts[n-1], t)
		} else {
			d.parts = append(d.parts, []test{t})
		}
		goals, missed := count(t.tables)
		d.goals, d.missed = d.goals+goals, d.missed+missed
		if t.failed {
			d.failed++
		}
	}
	d.begin()
	for _, part := range d.parts {
		d.experiment(part)
	}
	return d
}

const intro = `# Published experiments, re-run

Experiments that others have published about retries, hedges, limits and failover, each run three times: as it was published,
re-run here without holdfast on the same model, and with holdfast's own packages. The models are in virtual time, but for the
parts of E7 that go over HTTP. Each is run with five seeds; where a cell says "1 to 2", that is the least and the most of them, and a
goal is met only if it is met with every seed. Chance that the library itself draws (the jitter of a breaker's cool-down, the two
targets to choose from) has no seed, and so the last digits may change from run to run.

    go run ./examples/experiments

runs all of this and writes this page. Each experiment is a test too, and fails there when it misses its goal:
` + "`go test -run Experiment -v ./retry`" + ` prints the tables.

`

func (d *document) begin() {
	d.text.WriteString(intro)
	if !d.complete {
		d.text.WriteString("**This is a part of them only.**\n\n")
	}
	d.row("", "experiment", "through", "goals", "met")
	d.row("---", "---", "---", "---:", "---")
	for _, part := range d.parts {
		var through []string
		goals, missed := 0, 0
		for _, t := range part {
			if word := "`" + inWords(t.pkg) + "`"; len(through) == 0 || through[len(through)-1] != word {
				through = append(through, word)
			}
			g, m := count(t.tables)
			goals, missed = goals+g, missed+m
		}
		id, title := part[0].id, titleOf(part[0].id)
		d.row(fmt.Sprintf("[%s](#%s)", id, anchor(id+": "+title)), escape(title), strings.Join(through, ", "), fmt.Sprint(goals), met(missed, part))
	}
	d.text.WriteString("\nE17, voting, is for a package that is not there yet, and is left out.\n")
}

func met(missed int, part []test) string {
	for _, t := range part {
		if t.failed && missed == 0 {
			return "**a check has failed**"
		}
	}
	if missed > 0 {
		return fmt.Sprintf("**%d missed**", missed)
	}
	return "all"
}

func titleOf(id string) string {
	if i := place(id); i < len(known) {
		return known[i].title
	}
	return ""
}

// anchor is the name of a heading on the page, as those who render Markdown have it.
func anchor(heading string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
	return kept
}

func (d *document) experiment(part []test) {
	fmt.Fprintf(&d.text, "\n## %s: %s\n", part[0].id, titleOf(part[0].id))
	for _, t := range part {
		if len(part) > 1 {
			fmt.Fprintf(&d.text, "\n### %s: %s\n", t.id, heading(t))
		}
		d.paragraphs(shows.ReplaceAllString(t.doc, "This "))
		for _, table := range t.tables {
			d.table(table)
		}
	}
}

// heading tells the tests of one experiment apart.
func heading(t test) string {
	if rest := testName.ReplaceAllString(t.name, ""); rest != "" {
		return "`" + inWords(t.pkg) + "`, " + strings.ToLower(rest)
	}
	return "`" + inWords(t.pkg) + "`"
}

var shows = regexp.MustCompile(`^TestExperimentE\w+ `)

var titleBegins = regexp.MustCompile(`^E\d+[:,] *`)

func (d *document) table(t record.Table) {
	fmt.Fprintf(&d.text, "\n**%s**\n\n", escape(upper(titleBegins.ReplaceAllString(t.Title, ""))))
	cells := make([]string, len(t.Columns))
	lines := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cells[i], lines[i] = escape(c), "---"
	}
	d.row(cells...)
	d.row(lines...)
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = escape(c)
		}
		d.row(cells...)
	}
	d.paragraphs(t.Notes)
	if t.Reduced {
		d.paragraphs("Reduced: shorter than in full.")
	}
	if len(t.Goals) > 0 {
		d.text.WriteString("\n")
		d.row("goal", "wanted", "with holdfast", "met")
		d.row("---", "---", "---", "---")
		for _, g := range t.Goals {
			word := "yes"
			if !g.Met {
				word = "**no**"
			}
			d.row(escape(g.What), g.Want, g.Got, word)
		}
	}
	for _, c := range t.Charts {
		fmt.Fprintf(&d.text, "\n![%s](%s.svg)\n", escape(c.Title), c.Name)
		d.charts = append(d.charts, c)
	}
}

func (d *document) row(cells ...string) {
	fmt.Fprintf(&d.text, "| %s |\n", strings.Join(cells, " | "))
}

// paragraphs writes a comment's text, each paragraph on lines of its own.
func (d *document) paragraphs(text string) {
	for _, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		fmt.Fprintf(&d.text, "\n%s\n", links.ReplaceAllString(escape(strings.TrimSpace(p)), "`$1`"))
	}
}

// links are those of Go's comments, after escape.
var links = regexp.MustCompile(`\[([A-Za-z]+(?:\.[A-Za-z]+)*)\]`)

// escape keeps a text from being Markdown.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`").Replace(s)
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// writable makes the folder if there is none, and says whether files can be written there: before two minutes are spent, not after.
func writable(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	trial, err := os.CreateTemp(folder, ".experiments-")
	if err != nil {
		return err
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// write writes the page and its charts into a folder that is writable.
func (d *document) write(folder string) error {
	for _, c := range d.charts {
		if err := draw(filepath.Join(folder, c.Name+".svg"), c); err != nil {
			return fmt.Errorf("chart %s: %w", c.Name, err)
		}
	}
	return os.WriteFile(filepath.Join(folder, "experiments.md"), []byte(d.text.String()), 0o644)
}
