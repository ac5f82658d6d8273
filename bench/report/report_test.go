package main

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const printed = `goos: linux
cpu: Some Processor @ 2 GHz
BenchmarkStack/three/floor         	 1000	        20 ns/op	       0 B/op	       0 allocs/op
BenchmarkStack/three/floor-2       	 1000	        10 ns/op	       0 B/op	       0 allocs/op
BenchmarkStack/three/holdfast      	 1000	       100 ns/op	       0 B/op	       0 allocs/op
BenchmarkStack/three/holdfast-2    	 1000	        80 ns/op	       0 B/op	       0 allocs/op
BenchmarkStack/three/holdfast.Wrap 	 1000	       140 ns/op	       0 B/op	       0 allocs/op
BenchmarkStack/three/hand-nested   	 1000	       200 ns/op	      72 B/op	       3 allocs/op
BenchmarkStack/three/failsafe-go   	 1000	      1000 ns/op	     608 B/op	      20 allocs/op
BenchmarkRate/free/holdfast        	 1000	        20 ns/op	       0 B/op	       0 allocs/op
BenchmarkRate/free/x-time-rate     	 1000	         5 ns/op	       0 B/op	       0 allocs/op
BenchmarkRate/free/semaphore+rate  	 1000	        10 ns/op	       0 B/op	       0 allocs/op
BenchmarkKeys/10/holdfast-2        	 1000	        10 ns/op
BenchmarkKeys/100/holdfast-2       	 1000	        20 ns/op
BenchmarkLoopback/get              	 9000	     10000 floor:mean-ns	     50000 floor:p99-ns	     10200 holdfast:mean-ns	     52000 holdfast:p99-ns
BenchmarkLoopback/get-2            	 9000	     10000 floor:mean-ns	     50000 floor:p99-ns	     10200 holdfast:mean-ns	     52000 holdfast:p99-ns
PASS
`

func found(raws ...string) *report {
	return &report{results: parse([]byte(strings.Join(raws, ""))), count: len(raws)}
}

func TestParse(t *testing.T) {
	r := found(printed)
	for k, want := range map[key]float64{
		{"Stack", "three", "holdfast", 1}:      100,
		{"Stack", "three", "holdfast", 2}:      80,
		{"Stack", "three", "holdfast.Wrap", 1}: 140,
		{"Rate", "free", "semaphore+rate", 1}:  10,
		{"Rate", "free", "x-time-rate", 1}:     5,
		{"Keys", "100", "holdfast", 2}:         20,
	} {
		if got := r.median(k, perOp); got != want {
			t.Errorf("%v: %v ns, want %v", k, got, want)
		}
	}
	if got := r.median(key{"Loopback", "get", "", 2}, "holdfast:p99-ns"); got != 52000 {
		t.Errorf("p99 over loopback: %v", got)
	}
}

func TestMedian(t *testing.T) {
	for want, vs := range map[float64][]float64{0: nil, 3: {3}, 2: {3, 1, 2}, 2.5: {4, 1, 2, 3}} {
		if got := median(vs); got != want {
			t.Errorf("median of %v: %v, want %v", vs, got, want)
		}
	}
}

// A round that is disturbed as a whole does not change a ratio.
func TestRatio(t *testing.T) {
	if got := ratio([]float64{10, 1000, 12}, []float64{20, 2000, 24}); got != 0.5 {
		t.Errorf("got %v, want 0.5", got)
	}
	if got := ratio(nil, []float64{1}); got != 0 {
		t.Errorf("of nothing: %v, want 0", got)
	}
}

func TestTwoCores(t *testing.T) {
	r, j := found(printed), job{group: "Stack", name: "three"}
	if got := r.spread(j, ours); math.Abs(got-1.6) > 1e-9 { // 80 ns/op is 160 ns of each of two cores
		t.Errorf("got %v, want 1.6", got)
	}
	j.handover = true
	if got := r.spread(j, ours); math.Abs(got-0.8) > 1e-9 {
		t.Errorf("one after the other: got %v, want 0.8", got)
	}
}

// Of two cores for 80 ns the calls had 120.
func TestHad(t *testing.T) {
	r := found(strings.ReplaceAll(printed, " 80 ns/op", " 80 ns/op 120 cpu-ns/op"))
	if got := r.had(2); math.Abs(got-0.75) > 1e-9 {
		t.Errorf("got %v, want 0.75", got)
	}
}

// The fastest peer is neither the floor, nor holdfast, nor one that does less.
func TestFastest(t *testing.T) {
	r := found(printed)
	for name, want := range map[string]string{"Stack/three": "hand-nested", "Rate/free": "semaphore+rate"} {
		group, job1, _ := strings.Cut(name, "/")
		if got := r.fastest(job{group: group, name: job1}, 1); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestBounds(t *testing.T) {
	r := found(printed)
	for name, test := range map[string]struct {
		v    verdict
		want string
	}{
		"first":       {r.first(1), "**missed**"}, // Rate free is twice semaphore+rate
		"allocations": {r.noAllocations(), "met"},
		"stack":       {r.stack("three", stackNs, 0), "**missed**"}, // Wrap
		"timeout":     {r.stack("timeout", timeoutNs, 1), "not measured"},
		"drops":       {r.drops(), "not measured"},
		"throughput":  {r.loopback("mean-ns"), "met"},       // 2 %
		"p99":         {r.loopback("p99-ns"), "**missed**"}, // 4 %
		"two cores":   {r.twoCores(), "**missed**"},         // 1.6
	} {
		if got := test.v.word(); got != test.want {
			t.Errorf("%s: %s (%+v), want %s", name, got, test.v, test.want)
		}
	}
	if v := r.first(1); len(v.missed) != 1 || v.missed[0] != (miss{"Rate/free", "2.00 × semaphore+rate"}) {
		t.Errorf("first: missed %q", v.missed)
	}
}

// What is missed, done less and measured is on the page, and what was not measured does no harm.
func TestMarkdown(t *testing.T) {
	var page bytes.Buffer
	found(printed, printed).markdown(&page)
	for _, want := range []string{"**missed**", "| **holdfast** | 100 |", "Rate/free, 2.00 × semaphore+rate", "x-time-rate ¹", "- Rate free, x-time-rate: It has no", "bare client"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%q is not on the page:\n%s", want, page.String())
		}
	}
}

// What cannot be written as a whole does not take the place of what there was.
func TestWriteIsAllOrNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "RESULTS.md")
	put := func(text string, fault error) error {
		return write(name, func(w io.Writer) error { _, _ = io.WriteString(w, text); return fault })
	}
	if err := put("old", nil); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := put("half of the n", boom); !errors.Is(err, boom) {
		t.Errorf("%v, want %v", err, boom)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "old" {
		t.Errorf("%q, %v; want what there was", text, err)
	}
	if err := put("new", nil); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(name))
	if text, _ := os.ReadFile(name); err != nil || len(files) != 1 || string(text) != "new" {
		t.Errorf("%q, %v, %v; want one new file", text, files, err)
	}
}

// A call that makes an allocation now and then has bytes, if no whole allocation.
func TestAllocationNowAndThen(t *testing.T) {
	r := found(strings.Replace(printed, "100 ns/op	       0 B/op", "100 ns/op	       3 B/op", 1))
	if v := r.noAllocations(); v.met || len(v.missed) != 1 {
		t.Errorf("%+v, want one that misses", v)
	}
}

func TestChartsAreDrawn(t *testing.T) {
	r := found(printed)
	if err := r.charts(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	// A job is held against the fastest peer that does it; what was not measured is not drawn.
	d := r.jobsChart()
	if strings.Join(d.Rows, "; ") != "Rate/free, semaphore+rate; Stack/three, hand-nested" || len(d.Series) != 2 {
		t.Fatalf("%+v", d)
	}
	if x := d.Series[0].X; d.Series[0].Name != "holdfast, one core" || x[0] != 2 || x[1] != 0.5 {
		t.Errorf("%+v", d.Series[0])
	}
	if x := d.Series[1].X; d.Series[1].Name != "failsafe-go, one core" || !math.IsNaN(x[0]) || x[1] != 5 {
		t.Errorf("%+v", d.Series[1])
	}
	if lines := r.lines(sizes[0]); len(lines) != 1 || len(lines[0].x) != 2 || lines[0].y[1] != 40 {
		t.Errorf("keys: %+v", lines)
	}
}
