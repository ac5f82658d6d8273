package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// result is what one run measured: by backend, and in all.
type result struct {
	samples []sample
	total   sample
}

func resultOf(samples []sample) *result { return &result{samples, total(samples)} }

// tell says what is about to happen.
func tell(w io.Writer, o options) {
	fmt.Fprintf(w, `A service calls three HTTP servers on this machine, %d times a second in all.
Each is healthy most of the time, and fails in its own way:

`, o.rate)
	for _, k := range kinds {
		name := k.name
		for _, line := range k.story(o.duration / 2) {
			fmt.Fprintf(w, "  %-9s %s\n", name, line)
			name = ""
		}
	}
	fmt.Fprintf(w, `
A caller waits for %s at most. It calls first with a bare http.Client, then
with the same client under holdfast: retry.Transport over breaker.Transport. The
faults are the same for both (seed %d).

`, o.deadline, o.seed)
}

// The table is 80 columns wide.
const (
	labelWidth   = 16
	bareWidth    = 7
	guardedWidth = 9
)

// table sets bare and guarded side by side, for each backend and for all. A run that was not made is nil.
func table(w io.Writer, bare, guarded *result) {
	columns := make([]string, 0, len(kinds)+1)
	for _, k := range kinds {
		columns = append(columns, k.name)
	}
	columns = append(columns, "all three")

	heads := fmt.Sprintf("%*s", labelWidth, "")
	names := heads
	for _, column := range columns {
		heads += fmt.Sprintf("%*s", bareWidth+guardedWidth, column)
		names += fmt.Sprintf("%*s%*s", bareWidth, "bare", guardedWidth, "holdfast")
	}
	rule := strings.Repeat("-", len(names))
	fmt.Fprintf(w, "%s\n%s\n%s\n", heads, names, rule)
	for _, row := range rows {
		fmt.Fprintf(w, "%-*s", labelWidth, row.label)
		for i := range columns {
			left, right := row.cells(bare, guarded, i)
			fmt.Fprintf(w, "%*s%*s", bareWidth, left, guardedWidth, right)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, rule)
	fmt.Fprint(w, `p50, p99: of all calls; to fail at once is quick, too. requests: that reached a
backend. connections: opened. breaker: transitions. refused: calls that failed
because the breaker was open.
`)
}

// row is a line of the table.
type row struct {
	label string
	value func(sample) string
	// guarded marks what there is under holdfast only.
	guarded bool
}

var rows = []row{
	{label: "calls", value: func(s sample) string { return fmt.Sprint(s.calls) }},
	{label: "success", value: func(s sample) string { return share(s.success()) }},
	{label: "p50", value: func(s sample) string { return duration(s.quantile(0.5)) }},
	{label: "p99", value: func(s sample) string { return duration(s.quantile(0.99)) }},
	{label: "requests/call", value: func(s sample) string { return fmt.Sprintf("%.2f", s.load()) }},
	{label: "connections", value: func(s sample) string { return fmt.Sprint(s.connections) }},
	{label: "breaker", value: func(s sample) string { return fmt.Sprint(s.transitions) }, guarded: true},
	{label: "refused", value: func(s sample) string { return fmt.Sprint(s.refused) }, guarded: true},
}

// cells are the row's values in column i, the last column being the total.
func (row row) cells(bare, guarded *result, i int) (left, right string) {
	if row.guarded {
		bare = nil
	}
	return row.cell(bare, i), row.cell(guarded, i)
}

func (row row) cell(r *result, i int) string {
	if r == nil || r.column(i).calls == 0 {
		return "-"
	}
	return row.value(r.column(i))
}

func (r *result) column(i int) sample {
	if i == len(r.samples) {
		return r.total
	}
	return r.samples[i]
}

// conclude says in words what the numbers say, and nothing that they do not.
func conclude(w io.Writer, bare, guarded *result) {
	if bare.total.calls == 0 {
		fmt.Fprintln(w, "Ended before the first call.")
		return
	}
	b := bare.total
	fmt.Fprintf(w, "Bare, %s.\n", summary(b))
	if guarded == nil || guarded.total.calls == 0 {
		fmt.Fprintln(w, "Ended before the first call under holdfast.")
		return
	}
	g := guarded.total
	fmt.Fprintf(w, "Under holdfast, %s.\n", summary(g))
	fmt.Fprintf(w, "The price: %.2f requests for a call in place of %.2f. Breakers opened %s.\n",
		g.load(), b.load(), count(g.opened, "time"))
	if n := b.shed + g.shed; n > 0 {
		fmt.Fprintf(w, "Not made for lack of room (-concurrency), counted as failed: %s.\n", count(n, "call"))
	}
}

// summary is how many calls failed, and how long the slowest took.
func summary(s sample) string {
	failures := fmt.Sprintf("none of %d calls failed", s.calls)
	if n := s.failed(); n > 0 {
		failures = fmt.Sprintf("%d of %d calls failed (1 in %.0f)", n, s.calls, float64(s.calls)/float64(n))
	}
	return fmt.Sprintf("%s, and 1 %% took %s or more", failures, duration(s.quantile(0.99)))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// share never rounds up to all of it: 2999 of 3000 are not 100 %.
func share(x float64) string {
	return fmt.Sprintf("%.1f%%", math.Floor(x*1000)/10)
}

// duration is short: three digits or so.
func duration(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%dms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	}
}
