package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every experiment has a test with a comment that says what it is and what the model, and E7 and E9 have one in the root, where
// several packages are put together.
func TestFindTests(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := findTests(root)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]string{}
	for i, found := range all {
		in[found.id] += found.pkg + " "
		if !shows.MatchString(found.doc) || !strings.HasSuffix(found.name, "Defaults") && !strings.Contains(found.doc, "The model.") {
			t.Errorf("%s in %s: %q", found.name, found.pkg, found.doc)
		}
		if i > 0 && place(found.id) < place(all[i-1].id) {
			t.Errorf("%s comes after %s", found.id, all[i-1].id)
		}
	}
	for id, want := range map[string]string{"E1": "hedge ", "E7": "retry . ", "E9": "retry . ", "E12": "bulkhead bulkhead ", "E16": "failover "} {
		if in[id] != want {
			t.Errorf("%s in %q, want %q", id, in[id], want)
		}
	}
}

// A test of an experiment that has no place in the document is an error, and so is an experiment without a test.
func TestFindTestsThatDoNotFit(t *testing.T) {
	root := t.TempDir()
	if _, err := findTests(root); err == nil || !strings.Contains(err.Error(), "no test of E1") {
		t.Errorf("no tests: %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "experiment_x_test.go"), []byte("package x\n\nfunc TestExperimentE99() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := findTests(root); err == nil || !strings.Contains(err.Error(), "TestExperimentE99") {
		t.Errorf("E99: %v", err)
	}
}

// Without the go command, or outside of the repository, the error says which of the two it is.
func TestModuleRootThatIsNotThere(t *testing.T) {
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if _, err := moduleRoot(t.Context()); err == nil || !strings.Contains(err.Error(), "inside of its repository") {
		t.Errorf("elsewhere: %v", err)
	}
	t.Chdir(before)
	t.Setenv("PATH", t.TempDir())
	if _, err := moduleRoot(t.Context()); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("no go: %v", err)
	}
}
