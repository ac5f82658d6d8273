package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

const modulePath = "github.com/holdfast-go/holdfast"

// test is a test function that runs an experiment, or a part of one.
type test struct {
	id   string // "E9"
	pkg  string // its folder in the repository: "retry", or "." for the root
	name string // "TestExperimentE9"
	doc  string // its comment: what it shows, and the model

	tables []record.Table // what it has left behind
	failed bool
}

// moduleRoot is the folder of the repository.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	dir := strings.TrimSpace(string(out))
	var said *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", errInterrupted
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("the experiments are tests that are built here: %w", err)
	case errors.As(err, &said):
		return "", fmt.Errorf("%s is not to be found from here: run this inside of its repository\n%s", modulePath, bytes.TrimSpace(said.Stderr))
	case err != nil:
		return "", err
	case dir == "":
		return "", fmt.Errorf("%s is not to be found from here: run this inside of its repository", modulePath)
	}
	return dir, nil
}

var testName = regexp.MustCompile(`^TestExperiment(E\d+)`)

// findTests finds the tests of all experiments: of each package in its own folder, and of several packages in the root.
func findTests(root string) ([]test, error) {
	var all []test
	for _, pattern := range []string{"experiment_*_test.go", "*/experiment_*_test.go"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			found, err := testsIn(root, path)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	slices.SortFunc(all, func(a, b test) int {
		return cmp.Or(cmp.Compare(place(a.id), place(b.id)), -cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name)) // the root comes last
	})
	for _, k := range known {
		if !slices.ContainsFunc(all, func(t test) bool { return t.id == k.id }) {
			return nil, fmt.Errorf("there is no test of %s in %s", k.id, modulePath)
		}
	}
	return all, nil
}

// place is where an experiment comes in the document.
func place(id string) int {
	for i, k := range known {
		if k.id == id {
			return i
		}
	}
	return len(known)
}

func testsIn(root, path string) (found []test, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	pkg, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil {
			continue
		}
		name := testName.FindStringSubmatch(fn.Name.Name)
		if name == nil {
			continue
		}
		if !isKnown(name[1]) {
			return nil, fmt.Errorf("%s: %s is of no experiment that is known here", path, fn.Name.Name)
		}
		found = append(found, test{id: name[1], pkg: filepath.ToSlash(pkg), name: fn.Name.Name, doc: fn.Doc.Text()})
	}
	return found, nil
}
