// Command report measures holdfast and its peers by the benchmarks of this module, in one run, and writes bench/RESULTS.md
// and its charts: medians of several rounds, in each of which every side of a job is measured, so that the ratios are of
// what was measured next to each other.
//
//	go run ./bench/report                  # about ten minutes
//	go run ./bench/report -short           # under a minute: prints the ratios, writes nothing
//	go run ./bench/report -only 'Stack|HTTP' -count 3
package main

import (
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
	start := time.Now()
	found, raw, err := measure(dir, o)
	if err != nil {
		return err
	}
	if o.raw != "" {
		if err := os.WriteFile(o.raw, raw, 0o666); err != nil {
			return err
		}
	}
	r := &report{results: found, count: o.count, benchtime: o.benchtime, date: start, about: aboutMachine(dir, raw)}
	if o.short || only != "" {
		r.summary(os.Stdout)
		return nil
	}
	if err := r.charts(dir); err != nil {
		return err
	}
	return write(filepath.Join(dir, "RESULTS.md"), r.markdown)
}

func write(name string, to func(io.Writer)) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	to(f)
	return f.Close()
}
