package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const module = "github.com/holdfast-go/holdfast/bench"

// benchDir is where the benchmarks are, wherever the command runs.
func benchDir() (string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w: run it within the module or its workspace", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// pass is groups of benchmarks that are run by one process, and so with one heap.
type pass struct {
	groups []string
	cpu    string
	time   func(base time.Duration) string
	short  bool // a part of the short form
}

func duration(times float64) func(time.Duration) string {
	return func(base time.Duration) string { return time.Duration(times * float64(base)).String() }
}

func exactly(n string) func(time.Duration) string {
	return func(time.Duration) string { return n }
}

var passes = []pass{
	{groups: []string{"Retry", "Breaker", "Bulkhead", "Rate", "Timeout", "Hedge", "Failover", "Stack", "HTTP"}, cpu: "1,2", time: duration(1), short: true},
	{groups: []string{"SDK"}, cpu: "1,2", time: duration(1), short: true},
	{groups: []string{"Loopback"}, cpu: "1,2", time: duration(40), short: true}, // a 99th percentile wants many
	{groups: []string{"Memory"}, cpu: "1", time: exactly("1x")},
	{groups: []string{"Keys", "Window", "Targets"}, cpu: "2", time: duration(0.5)},
	{groups: []string{"Queue"}, cpu: "2", time: exactly("50000x")}, // several for each of 10,000 goroutines
	{groups: []string{"Goroutines"}, cpu: "2", time: exactly("200000x")},
}

// measure runs the passes, round by round.
func measure(dir string, o options) (results, []byte, error) {
	temp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(temp)
	binary := filepath.Join(temp, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, module)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, nil, fmt.Errorf("building the benchmarks: %w", err)
	}
	var raw []byte
	for round := range o.count {
		for _, p := range passes {
			groups := p.matching(o)
			if len(groups) == 0 {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s  round %d of %d: %s\n", time.Now().Format(time.TimeOnly), round+1, o.count, strings.Join(groups, ", "))
			out, err := p.run(dir, binary, groups, o.benchtime)
			raw = append(raw, out...)
			if err != nil {
				return nil, raw, err
			}
		}
	}
	if len(raw) == 0 {
		return nil, nil, fmt.Errorf("-only %q matches no group", o.only)
	}
	return parse(raw), raw, nil
}

func (p pass) matching(o options) []string {
	var groups []string
	for _, g := range p.groups {
		if o.only.MatchString(g) && (p.short || !o.short) {
			groups = append(groups, g)
		}
	}
	return groups
}

func (p pass) run(dir, binary string, groups []string, base time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute+2000*base) // -test.timeout is not for benchmarks
	defer cancel()
	c := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", "^Benchmark("+strings.Join(groups, "|")+")$",
		"-test.cpu", p.cpu, "-test.benchtime", p.time(base))
	c.Dir = dir
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, os.Stderr
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.New("killed: it ran for too long")
		}
		return out.Bytes(), fmt.Errorf("%s: %w\n%s", strings.Join(groups, ", "), err, out.String())
	}
	return out.Bytes(), nil
}
