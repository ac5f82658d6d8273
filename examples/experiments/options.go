package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// options are the flags.
type options struct {
	only []string // "E1"; empty: all
	out  string   // a folder; empty: docs, in the repository
}

// known are the experiments, in the order of the document, with their titles.
var known = []struct{ id, title string }{
	{"E1", "The Tail at Scale: hedged reads of many keys"},
	{"E3", "grpc-java's hedging example"},
	{"E4", "A learned hedge delay"},
	{"E5", "Exponential backoff and jitter"},
	{"E6", "Retries against the failure rate"},
	{"E7", "Retry amplification"},
	{"E8", "Retry runaway"},
	{"E9", "Metastable failure"},
	{"E11", "Bimodal latency"},
	{"E12", "Goodput in overload"},
	{"E13", "An adaptive limit"},
	{"E14", "One slow backend"},
	{"E15", "Priority failover, and dead targets found"},
	{"E16", "The power of two choices"},
}

func isKnown(id string) bool {
	for _, k := range known {
		if k.id == id {
			return true
		}
	}
	return false
}

// of are the tests that are asked for.
func (o options) of(tests []test) []test {
	if len(o.only) == 0 {
		return tests
	}
	return slices.DeleteFunc(slices.Clone(tests), func(t test) bool { return !slices.Contains(o.only, t.id) })
}

// folder is where the document is written to.
func (o options) folder(root string) string {
	if o.out == "" {
		return filepath.Join(root, "docs")
	}
	return o.out
}

// parse reads the flags. Every value that cannot work is in the one error.
func parse(args []string, usage io.Writer) (o options, err error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	flags := flag.NewFlagSet("experiments", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is in the error; only -h prints
	flags.Func("only", "experiments to run, with a comma between them: E1,E9 (default all); with it, -out says where to", func(value string) error {
		for _, id := range strings.Split(value, ",") {
			switch id = strings.ToUpper(strings.TrimSpace(id)); {
			case isKnown(id):
				o.only = append(o.only, id)
			case id == "E17":
				fault("-only: %q is of a package that is not there yet", id)
			default:
				fault("-only: %q: want some of %s", id, ids())
			}
		}
		return nil
	})
	flags.Func("out", "the folder for experiments.md and its charts (default docs, in the repository)", func(value string) error {
		if o.out = value; value == "" {
			fault("-out: want the name of a folder")
		} else if file, err := os.Stat(value); err == nil && !file.IsDir() {
			fault("-out %q: that is a file, want a folder", value)
		}
		return nil
	})
	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(usage)
			fmt.Fprintln(usage, "Usage: experiments [flags]")
			flags.PrintDefaults()
			return o, err
		}
		if err == nil {
			break
		}
		faults = append(faults, err)
		if flags.NArg() == len(args) { // it was not even read over, and would be met again
			return o, errors.Join(faults...)
		}
		args = flags.Args()
	}
	if flags.NArg() > 0 {
		fault("%q: want flags only", flags.Args())
	}
	if len(o.only) > 0 && o.out == "" && len(faults) == 0 {
		fault("-only: want -out too, as docs is for all experiments")
	}
	return o, errors.Join(faults...)
}

func ids() string {
	var all []string
	for _, k := range known {
		all = append(all, k.id)
	}
	return strings.Join(all, ", ")
}
