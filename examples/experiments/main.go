// Experiments runs the published experiments that holdfast is held to, through the real packages, and writes what came of
// them: published, re-run without holdfast, and with holdfast, side by side, with the goals and with charts.
//
//	go run ./examples/experiments                     # all of them, into docs: under two minutes
//	go run ./examples/experiments -only E1,E9 -out x  # two of them, into x
//
// Each experiment is a test of the package that it is about, as its virtual clock is that of testing/synctest. So this program
// builds those packages' tests, runs them, and makes a document of what they leave behind. It is to be run inside of the
// repository. Its exit code is 1 if a goal is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	opts, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "experiments: these flags cannot work:\n%v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // from the second Ctrl-C on, it is the system's again
	if err := show(ctx, os.Stdout, opts); err != nil {
		fmt.Fprintln(os.Stderr, "experiments:", err)
		os.Exit(1)
	}
}

// show runs the experiments and writes the document. It returns an error if one of them has missed a goal, too.
func show(ctx context.Context, out io.Writer, o options) error {
	began := time.Now()
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	tests, err := findTests(root)
	if err != nil {
		return err
	}
	tests = o.of(tests)
	if err := writable(o.folder(root)); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "holdfast-experiments-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)

	r := &runner{root: root, folder: folder, out: out}
	if err := r.runAll(ctx, tests); err != nil {
		return err
	}
	d := newDocument(o, tests)
	if err := d.write(o.folder(root)); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d goals, %d missed; %d experiments in %.0f s\n", d.goals, d.missed, len(d.parts), time.Since(began).Seconds())
	if d.missed > 0 || d.failed > 0 {
		return fmt.Errorf("%d goals are missed, and %d tests have failed", d.missed, d.failed)
	}
	return nil
}
