package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// options are the demo's flags.
type options struct {
	// Of the three failing backends.
	duration    time.Duration // of both runs together, not counting the last calls' ends
	rate        int           // calls a second, over all backends
	concurrency int           // calls in flight at most
	deadline    time.Duration // of each call
	seed        uint64        // of the faults, of the tail and of the outage

	svg string // the folder that the charts are drawn into; empty: a new temporary one
}

// rush is how long both runs of the overload take together. While it lasts the bare server gathers requests that wait,
// each with its connection: hence not for minutes.
func (o options) rush() time.Duration { return min(max(o.duration/2, 2*time.Second), 20*time.Second) }

// tail is how long the tail takes: at least what it needs for a thousand calls and more.
func (o options) tail() time.Duration { return min(max(o.duration/4, 2*time.Second), 20*time.Second) }

// outage is how long the outage takes, what comes before and after it included.
func (o options) outage() time.Duration {
	return min(max(o.duration*2/5, 2*time.Second), 20*time.Second)
}

func defaults() options {
	return options{duration: 20 * time.Second, rate: 300, concurrency: 600, deadline: 1500 * time.Millisecond, seed: 1}
}

// parse reads the flags. Every value that cannot work is in the one error.
func parse(args []string, usage io.Writer) (options, error) {
	o := defaults()
	var faults []error
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is in the error; only -h prints

	// The flag package stops at the first bad value, hence functions that take note of it and go on.
	define := func(name, meaning, want string, set func(string) bool) {
		flags.Func(name, meaning+": "+want, func(value string) error {
			if !set(value) {
				faults = append(faults, fmt.Errorf("-%s %q: want %s", name, value, want))
			}
			return nil
		})
	}
	define("duration", "of the two runs with failing servers; the overload takes half as long, the tail a quarter, the outage two fifths, but each from 2s to 20s",
		"a time from 1s to 10m (default 20s)",
		durationFlag(&o.duration, time.Second, 10*time.Minute))
	define("rate", "calls a second, over the three failing servers", "a number from 3 to 3000 (default 300)",
		numberFlag(&o.rate, 3, 3000))
	define("concurrency", "calls to them in flight at most", "a number from 1 to 10000 (default 600)",
		numberFlag(&o.concurrency, 1, 10_000))
	define("deadline", "of each call to them", "a time from 100ms to 10s (default 1.5s)",
		durationFlag(&o.deadline, 100*time.Millisecond, 10*time.Second))
	define("seed", "of their faults, of the tail and of the outage; the same seed, the same faults", "a number, not negative (default 1)",
		func(s string) (ok bool) {
			seed, err := strconv.ParseUint(s, 10, 64)
			o.seed = seed
			return err == nil
		})
	define("svg", "the folder that overload.svg, tail.svg and traffic.svg are drawn into",
		"a folder that there is (default a new temporary one)",
		func(s string) bool {
			o.svg = s
			folder, err := os.Stat(s)
			return s != "" && err == nil && folder.IsDir()
		})

	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(usage)
			fmt.Fprintln(usage, "Usage: demo [flags]")
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
		faults = append(faults, fmt.Errorf("%q: want flags only", flags.Args()))
	}
	return o, errors.Join(faults...)
}

func durationFlag(to *time.Duration, least, most time.Duration) func(string) bool {
	return func(s string) bool {
		d, err := time.ParseDuration(s)
		*to = d
		return err == nil && least <= d && d <= most
	}
}

func numberFlag(to *int, least, most int) func(string) bool {
	return func(s string) bool {
		n, err := strconv.Atoi(s)
		*to = n
		return err == nil && least <= n && n <= most
	}
}
