// Command report measures holdfast and its peers by the benchmarks of this module, in one run, and writes bench/RESULTS.md
// and its charts: medians of several rounds, in each of which every side of a job is measured, so that the ratios are of
// what was measured next to each other.
//
//	go run ./bench/report                  # about ten minutes
//	go run ./bench/report -short           # under a minute: prints the ratios, writes nothing
//	go run ./bench/report -only 'Stack|HTTP' -count 3
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

type options struct {
	short     bool
	count     int
	benchtime time.Duration
	only      *regexp.Regexp
	raw       string
}

func main() {
	var o options
	only := flag.String("only", "", "measure only groups whose `name` matches (Retry, Breaker, Stack, HTTP, Keys, …); prints, and writes nothing")
	flag.BoolVar(&o.short, "short", false, "three short rounds; prints the ratios, and writes nothing")
	flag.IntVar(&o.count, "count", 5, "rounds")
	flag.DurationVar(&o.benchtime, "benchtime", 70*time.Millisecond, "how long a side of a job is measured in a round")
	flag.StringVar(&o.raw, "raw", "", "also write what the benchmarks print to this `file`, for benchstat")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "report: %q: want flags only\n", flag.Args())
		os.Exit(2)
	}
	if err := o.run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func (o options) run(only string) error {
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return err
	}
	if o.count < 1 || o.benchtime <= 0 {
		return fmt.Errorf("-count %d -benchtime %v: want both above zero", o.count, o.benchtime)
	}
	if o.short {
		o.count, o.benchtime = 3, 4*time.Millisecond
	}
	dir, err := benchDir()
	if err != nil {
		return err
	}
	if o.raw != "" { // that it cannot be written is said before minutes are spent
		if err := os.WriteFile(o.raw, nil, 0o666); err != nil {
			return err
		}
	}
	start := time.Now()
	found, raw, err := measure(dir, o)
	if o.raw != "" { // of a run that failed too
		err = errors.Join(err, os.WriteFile(o.raw, raw, 0o666))
	}
	if err != nil {
		return err
	}
	r := &report{results: found, count: o.count, benchtime: o.benchtime, date: start, about: aboutMachine(dir, raw)}
	if o.short || only != "" {
		r.summary(os.Stdout)
		return nil
	}
	if err := r.charts(dir); err != nil {
		return err
	}
	return write(filepath.Join(dir, "RESULTS.md"), func(w io.Writer) error { r.markdown(w); return nil })
}

// write replaces a file as a whole, or leaves it as it was.
func write(name string, to func(io.Writer) error) error {
	var b bytes.Buffer
	if err := to(&b); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // finds none once it has been renamed
	_, err = b.WriteTo(temp)
	if err := errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), name)
}
