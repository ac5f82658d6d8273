package main

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// short is a soak of one round.
func short(only string) options {
	o := defaults()
	o.duration, o.atOnce, o.only = 0, 4, only
	return o
}

// missing reports what should be in text, and is not.
func missing(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("missing %q in\n%s", s, text)
		}
	}
}

// TestRun makes a round for real, and leaves nothing behind.
func TestRun(t *testing.T) {
	before := runtime.NumGoroutine()
	var out bytes.Buffer
	if err := run(t.Context(), &out, short("hedge-retry-breaker-failover-bulkhead/client")); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	missing(t, out.String(), "120 orders of 5 policies", "39 faults and none: 19 combinations. Seed 1", "violations", "16 of 19 combinations were run, 16 times in all",
		"96 calls, 0 violations", "3 combinations were not run")
	for range 5000 { // those of closed servers notice
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(ms)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// TestRunAgain: one combination is run in one pass after the other.
func TestRunAgain(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, short("failover-hedge-retry-breaker-bulkhead/network-reset")); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	missing(t, out.String(), "1 of 1 combinations were run, 16 times in all", "network-reset")
}

// TestInterrupted: it is no fault, and what there is by then is printed.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := run(ctx, &out, short("")); err != nil {
		t.Error(err)
	}
	missing(t, out.String(), "Interrupted", "0 of 4800 combinations were run")
}

// TestViolation: it is told with all that is needed to see it again, and ends in an error.
func TestViolation(t *testing.T) {
	var out bytes.Buffer
	s := &soak{options: options{seed: 7, late: 40 * ms, atOnce: 4}, out: &out, plan: newPlan(7, ""), tally: newTally(), began: time.Now()}
	w := &world{combination: matching("retry-breaker-bulkhead-hedge-failover/server-slow")[0]}
	s.conclude(w)
	if s.tally.violations != 0 || s.verdict() != nil || out.Len() > 0 {
		t.Errorf("%d violations of nothing, %v\n%s", s.tally.violations, s.verdict(), &out)
	}
	w.pass = 100
	w.complain("planted %d", 1)
	w.complain("planted %d", 2)
	s.conclude(w)
	missing(t, out.String(), "VIOLATION in retry-breaker-bulkhead-hedge-failover/server-slow, pass 100, seed 7: planted 1\n", "planted 2",
		"Again: go run ./examples/soak -duration 14s -seed 7 -late 40ms -at-once 4 -only retry-breaker-bulkhead-hedge-failover/server-slow\n")
	if s.verdict() == nil || s.over {
		t.Errorf("%v; over: %v", s.verdict(), s.over)
	}
	for i := range enough {
		w.complain("planted %d", i)
	}
	s.conclude(w)
	s.conclude(w)
	if !s.over {
		t.Errorf("it goes on after %d violations", s.tally.violations)
	}
	missing(t, out.String(), "and 14 more of this combination")
}

// TestAgain: what was told the soak is in the line that looks for a violation again, which is one that can be parsed.
func TestAgain(t *testing.T) {
	w := &world{combination: matching("retry-breaker-bulkhead-hedge-failover/server-slow")[0]}
	for _, args := range []string{"", "-late 40ms", "-at-once 3 -seed 9", "-late 1s -at-once 256 -only retry"} {
		o, err := parse(strings.Fields(args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		line := (&soak{options: o}).again(w)
		again, err := parse(strings.Fields(line)[3:], io.Discard)
		if o.duration, o.only = 10*time.Second, w.String(); err != nil || again != o {
			t.Errorf("%q: %q is %+v, %v, want %+v", args, line, again, err, o)
		}
	}
	if line := (&soak{options: defaults()}).again(w); strings.Contains(line, "-late") || strings.Contains(line, "-at-once") {
		t.Errorf("%q says what is so by default", line)
	}
}
