package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// options are the soak's flags.
type options struct {
	duration time.Duration
	seed     uint64
	late     time.Duration // how much later than its context ended a call may return
	atOnce   int           // combinations
	only     string        // a part of the names of those that are run
}

func defaults() options {
	return options{duration: time.Minute, seed: 1, late: 250 * time.Millisecond, atOnce: 24}
}

// parse reads the flags. Every value that cannot work is in the one error.
func parse(args []string, usage io.Writer) (options, error) {
	o := defaults()
	var faults []error
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
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
	define("duration", "of the soak, not counting the end of the last calls", "a time from 1s to 24h (default 1m)",
		durationFlag(&o.duration, time.Second, 24*time.Hour))
	define("seed", "of the plan, the settings, the calls and the faults", "a number, not negative (default 1)",
		func(s string) (ok bool) {
			seed, err := strconv.ParseUint(s, 10, 64)
			o.seed = seed
			return err == nil
		})
	define("late", "how much later than its context ended a call may return, beside ten times what a plain sleep was late at that time",
		"a time from 1ms to 1m (default 250ms)", durationFlag(&o.late, time.Millisecond, time.Minute))
	define("at-once", "combinations that are run at the same time", "a number from 1 to 256 (default 24)",
		func(s string) bool {
			n, err := strconv.Atoi(s)
			o.atOnce = n
			return err == nil && n >= 1 && n <= 256
		})
	define("only", "runs no others, but these again and again", "a part of the name of a combination, such as retry-breaker-bulkhead-hedge-failover/client-panic",
		func(s string) bool {
			o.only = s
			return len(matching(s)) > 0
		})

	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(usage)
			fmt.Fprintln(usage, "Usage: soak [flags]")
			flags.PrintDefaults()
			fmt.Fprintf(usage, "The faults are %s.\n", strings.Join(faultNames(), ", "))
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
