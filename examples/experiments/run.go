package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// runner runs tests, each in a process of its own with one processor: a virtual clock's goroutines hand over to each other all
// the time, which costs half as much again where they do it from one processor to another.
type runner struct {
	root, folder string
	out          io.Writer // progress

	mu     sync.Mutex
	builds map[string]func() error // of each package's tests
	done   int
}

// heavy is about how long an experiment takes, in seconds of a processor, where it is long. The longest are begun first, so
// that no processor is idle in the end.
var heavy = map[string]int{"E1": 26, "E16": 18, "E6": 12, "E8": 12, "E9": 10, "E4": 8, "E3": 6}

// runAll runs the tests, and adds to each what it has left behind.
func (r *runner) runAll(ctx context.Context, tests []test) error {
	r.builds = map[string]func() error{}
	order := make([]*test, len(tests))
	for i := range tests {
		t := &tests[i]
		order[i] = t
		if r.builds[t.pkg] == nil {
			r.builds[t.pkg] = sync.OnceValue(func() error { return r.build(ctx, t.pkg) })
		}
	}
	slices.SortStableFunc(order, func(a, b *test) int { return cmp.Compare(heavy[b.id], heavy[a.id]) })
	waiting := make(chan *test, len(order))
	for _, t := range order {
		waiting <- t
	}
	close(waiting)

	// Where one test cannot be run there will be no document, and the others need not go on.
	going, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for range min(runtime.NumCPU(), len(order)) {
		all.Go(func() {
			for t := range waiting {
				if err := r.run(going, t, len(order)); err != nil {
					stop(err) // the first counts
				}
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return errInterrupted
	}
	return context.Cause(going)
}

var errInterrupted = errors.New("interrupted")

// binary is that of a package's tests.
func (r *runner) binary(pkg string) string {
	return filepath.Join(r.folder, "tests-of-"+filepath.Base(filepath.Join("root", pkg)))
}

func (r *runner) build(ctx context.Context, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", r.binary(pkg), "./"+pkg)
	cmd.Dir = r.root
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the tests of %s: %w\n%s", pkg, err, said)
	}
	return nil
}

// run runs one test. That it fails is no error, if it has left its tables behind. Once ctx has ended it does nothing.
func (r *runner) run(ctx context.Context, t *test, of int) error {
	if ctx.Err() != nil {
		return nil
	}
	if err := r.builds[t.pkg](); err != nil {
		return err
	}
	left := filepath.Join(r.folder, "left", t.pkg, t.name)
	if err := os.MkdirAll(left, 0o755); err != nil {
		return err
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, r.binary(t.pkg), "-test.run", "^"+t.name+"$", "-test.timeout", "10m")
	cmd.Dir = filepath.Join(r.root, t.pkg)
	cmd.Env = append(os.Environ(), record.Folder+"="+left, "GOMAXPROCS=1", "GOGC=400")
	said, failed := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return nil
	}
	tables, err := record.Read(left)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		return fmt.Errorf("%s in %s has left nothing behind: %v\n%s", t.name, t.pkg, failed, said)
	}
	t.tables, t.failed = tables, failed != nil
	r.tell(t, of, time.Since(began), said)
	return nil
}

// tell is a line of progress.
func (r *runner) tell(t *test, of int, took time.Duration, said []byte) {
	goals, missed := count(t.tables)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	word := "all met"
	if missed > 0 {
		word = fmt.Sprintf("%d MISSED", missed)
	} else if goals == 0 {
		word = "shown only"
	}
	fmt.Fprintf(r.out, "%2d/%d  %-4s %-9s %5.1f s  %2d goals, %s\n", r.done, of, t.id, inWords(t.pkg), took.Seconds(), goals, word)
	if t.failed {
		fmt.Fprintf(r.out, "%s has failed:\n%s\n", t.name, bytes.TrimSpace(said))
	}
}

// inWords is a package's name.
func inWords(pkg string) string {
	if pkg == "." {
		return "holdfast"
	}
	return pkg
}

func count(tables []record.Table) (goals, missed int) {
	for _, table := range tables {
		for _, g := range table.Goals {
			goals++
			if !g.Met {
				missed++
			}
		}
	}
	return goals, missed
}
