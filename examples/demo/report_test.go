package main

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// made is a sample of n calls of which some failed, half of them fast.
func made(n, failed int, fast, slow time.Duration) sample {
	s := sample{calls: n, succeeded: n - failed, requests: int64(n), connections: 12}
	for i := range n {
		s.took = append(s.took, fast)
		if i > n*9/10 {
			s.took[i] = slow
		}
	}
	return s
}

func results() (bare, held *result) {
	ms := time.Millisecond
	bare = resultOf([]sample{made(1000, 107, 3*ms, 1500*ms), made(1000, 76, 3*ms, 12*ms), made(1000, 186, 9940*time.Microsecond, 99*ms)})
	guarded := []sample{made(1000, 0, 3*ms, 140*ms), made(1000, 1, 3*ms, 250*ms), made(1000, 9, 3*ms, 421*ms)}
	guarded[2].requests, guarded[2].refused, guarded[2].transitions, guarded[2].opened = 1127, 4, 6, 2
	guarded[0].shed = 1
	return bare, resultOf(guarded)
}

func TestReport(t *testing.T) {
	bare, held := results()
	var nothing *result
	for name, runs := range map[string][2]*result{
		"both":        {bare, held},
		"interrupted": {bare, nothing},
		"worse":       {held, bare},
		"nothing":     {resultOf(make([]sample, len(kinds))), nothing},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			table(&out, runs[0], runs[1])
			conclude(&out, runs[0], runs[1])
			golden(t, "testdata/"+name+".txt", out.String())
		})
	}
}

func TestStory(t *testing.T) {
	var out strings.Builder
	tell(&out, defaults())
	golden(t, "testdata/story.txt", out.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s (go test -update writes it anew):\n%s", path, got)
	}
}

// TestNumbers: what is rounded is never rounded into something that it is not.
func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		share(1):                          "100.0%",
		share(2999. / 3000):               "99.9%",
		share(0):                          "0.0%",
		duration(0):                       "0.0ms",
		duration(3123 * time.Microsecond): "3.1ms",
		duration(12 * time.Millisecond):   "12ms",
		duration(1500 * time.Millisecond): "1.50s",
		bar(0, 4):                         "[....]",
		bar(0.99, 4):                      "[###.]",
		bar(1, 4):                         "[####]",
		bar(2, 4):                         "[####]",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
