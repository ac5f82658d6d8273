package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A small module stands for the repository: one test leaves a table with a goal missed, and fails; another leaves nothing.
func TestRunAll(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"m_test.go": "package m\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n" + `func TestExperimentE7(t *testing.T) {
	table := ` + "`" + `{"Test":"TestExperimentE7","Title":"E7: x","Goals":[{"What":"calls","Want":"few","Got":"` + "`" + ` + os.Getenv("GOMAXPROCS") + ` + "`" + `","Met":false}]}` + "`" + `
	if err := os.WriteFile(os.Getenv("HOLDFAST_EXPERIMENTS")+"/a.json", []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Error("calls: many")
}

func TestExperimentE9(t *testing.T) { t.Error("nothing") }
`,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	var out strings.Builder
	tests := []test{{id: "E7", pkg: ".", name: "TestExperimentE7"}}
	if err := (&runner{root: root, folder: t.TempDir(), out: &out}).runAll(t.Context(), tests); err != nil {
		t.Fatal(err)
	}
	if got := tests[0]; !got.failed || len(got.tables) != 1 || got.tables[0].Goals[0].Got != "1" {
		t.Errorf("%+v", got)
	}
	for _, want := range []string{"1/1", "E7", "1 MISSED", "calls: many"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q: want %q", out.String(), want)
		}
	}
	for want, test := range map[string]test{
		"TestExperimentE9 in . has left nothing behind": {id: "E9", pkg: ".", name: "TestExperimentE9"},
		"building the tests of away":                    {id: "E9", pkg: "away", name: "TestExperimentE9"},
	} {
		err := (&runner{root: root, folder: t.TempDir(), out: &out}).runAll(t.Context(), only(test))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&runner{root: root, folder: t.TempDir(), out: &out}).runAll(ctx, tests); !errors.Is(err, errInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}

// Where the tests of a package cannot be built, that is said once, and what is left to do is not done.
func TestRunAllStops(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.com/m\n\ngo 1.26\n",
		"m_test.go": "package m\n\nbroken\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	var tests []test
	for range 5 {
		tests = append(tests, test{id: "E7", pkg: ".", name: "TestExperimentE7"})
	}
	err := (&runner{root: root, folder: t.TempDir(), out: io.Discard}).runAll(t.Context(), tests)
	if err == nil || strings.Count(err.Error(), "building the tests of .") != 1 {
		t.Errorf("%v, want once that the tests cannot be built", err)
	}
}

func only(t test) []test { return []test{t} }
