package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page writes Markdown, to memory: that does not fail.
type page struct{ io.Writer }

func (p page) para(format string, args ...any) { fmt.Fprintf(p, format+"\n\n", args...) }

func (p page) row(cells ...string) { fmt.Fprintf(p, "| %s |\n", strings.Join(cells, " | ")) }

func (p page) table(header []string, rows [][]string) {
	p.row(header...)
	p.row(slices.Repeat([]string{"---"}, len(header))...)
	for _, cells := range rows {
		p.row(cells...)
	}
	fmt.Fprintln(p)
}

func (r *report) markdown(w io.Writer) {
	p := page{w}
	p.para("# Measured beside the others")
	p.para("Written by `go run ./bench/report`. Medians of %d rounds of %v a side on %s; %s. In a round every side of a job is measured, one after the other, and a ratio is the median of the rounds' ratios: what disturbs a round disturbs both. Read the ratios; the nanoseconds are those of one machine.",
		r.count, r.benchtime, r.date.Format(time.DateOnly), r.about)
	p.para("Beside holdfast, and the SDK: %s.", strings.Join(r.about.peers, ", "))
	p.para("Every side of a job calls the same function, has the same limits, ratios and windows, and does not sleep; what a peer's documentation says to make once is made once, what it says to make for a call is made for each. Every goroutine has a context of its own, which can be cancelled. The floor is what no library can be below. On two cores the time is that of one of them for a call (twice the `ns/op` of `go test`).")
	p.para("While this was measured, calls that never wait had %.0f %% of one core and %.0f %% of two. What is missing other processes had: then times are longer than they need be, most of all those on two cores.", 100*r.had(1), 100*r.had(2))
	r.boundsSection(p)
	p.para("## Jobs, no SDK installed")
	p.para("![%s](%s)", jobsTitle, jobsFile)
	p.para("A row is a job and the peer that is the fastest at it on one core; left of the line is faster than that peer. The hollow mark is beside the peer that is the fastest on two.")
	for _, g := range groups() {
		r.jobsSection(p, g)
	}
	r.notes(p)
	r.sdkSection(p)
	r.loopbackSection(p)
	r.sizesSection(p)
	p.para("## What bounds it now")
	for _, b := range boundedBy {
		p.para("**%s.** %s", b.group, b.text)
	}
	p.para("## Two commits")
	p.para("What was measured at one commit is compared with another by benchstat, which says what is chance. Measure both on one machine, one after the other (with -only nothing but the file is written, so that the other commit can be checked out):")
	p.para("```sh\ngo run ./bench/report -only . -count 10 -raw old.txt   # at the one\ngo run ./bench/report -only . -count 10 -raw new.txt   # at the other\nGOWORK=off go -C tools tool benchstat \"$PWD/old.txt\" \"$PWD/new.txt\"\n```")
	fmt.Fprintln(p, "`-only 'Stack|HTTP'` measures some groups only. No test fails by a time: CI runs `-short`, and prints the ratios.")
}

func (r *report) boundsSection(p page) {
	p.para("## Bounds")
	var rows [][]string
	for _, b := range bounds {
		v := b.judge(r)
		rows = append(rows, []string{b.job, b.want, v.measured, v.word()})
	}
	p.table([]string{"job", "bound", "measured", ""}, rows)
	for _, b := range bounds {
		if v := b.judge(r); !v.unknown && !v.met {
			p.para("**Missed: %s, %s.**", b.job, b.want)
			b.explain(p, v)
		}
	}
}

// explain says of each job that misses b by how much, and why.
func (b bound) explain(p page, v verdict) {
	missed := v.missed
	if len(missed) == 0 {
		missed = []miss{{by: v.measured}}
	}
	for _, m := range missed {
		text := b.why[m.job]
		if text == "" {
			text = "Not explained: the profiles that the reasons here are from do not have it."
		}
		if m.job != "" {
			m.job += ", "
		}
		fmt.Fprintf(p, "- %s%s. %s\n", m.job, m.by, text)
	}
	fmt.Fprintln(p)
}

func groups() []string {
	var gs []string
	for _, j := range jobs {
		if !slices.Contains(gs, j.group) {
			gs = append(gs, j.group)
		}
	}
	return gs
}

func (r *report) jobsSection(p page, group string) {
	p.para("### %s", group)
	for _, j := range jobs {
		if j.group != group {
			continue
		}
		p.para("**%s**: %s. Floor: %s.", j.name, j.what, j.floor)
		var rows [][]string
		for _, side := range r.sides(j) {
			rows = append(rows, r.sideRow(j, side))
		}
		p.table([]string{"", "ns", "least to most", "bytes", "allocs", "÷ floor", "÷ fastest peer", "two cores: ns", "÷ serial", "÷ fastest peer"}, rows)
	}
}

func (r *report) sideRow(j job, side string) []string {
	one := j.key(side, 1)
	vs := r.values(one, perOp)
	name := side
	if isOurs(side) {
		name = "**" + side + "**"
	}
	if lesser[j.id(side)] != "" {
		name += " ¹"
	}
	return []string{
		name, short(median(vs)), short(slices.Min(vs)) + " to " + short(slices.Max(vs)),
		count(r.median(one, bytesA)), count(r.median(one, allocs)),
		times2(r.against(j, side, "floor", 1)), r.toFastest(j, side, 1),
		short(median(r.eachCore(j, side, 2))), times2(r.spread(j, side)), r.toFastest(j, side, 2),
	}
}

func (r *report) toFastest(j job, side string, cores int) string {
	peer := r.fastest(j, cores)
	if peer == "" || side == "floor" {
		return ""
	}
	return times2(r.against(j, side, peer, cores))
}

func count(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

func times2(v float64) string {
	if v == 0 {
		return ""
	}
	if v >= 10 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *report) notes(p page) {
	p.para("¹ Does less, and is not what holdfast is held against:")
	for _, j := range jobs {
		for _, side := range r.sides(j) {
			if note := lesser[j.id(side)]; note != "" {
				fmt.Fprintf(p, "- %s %s, %s: %s\n", j.group, j.name, side, note)
			}
		}
	}
	fmt.Fprintln(p)
}

var sdkSides = []string{"none", "drops", "samples", "metrics", "drops+metrics", "samples+metrics"}

func (r *report) sdkSection(p page) {
	p.para("## With an OpenTelemetry SDK")
	p.para("A call that succeeds at once; no peer has this. Drops: a tracer that samples nothing. Samples: one that keeps all spans, and hands them to a processor that does nothing. Metrics: a meter with a manual reader. ns, allocations, and ns over no SDK.")
	for _, cores := range []int{1, 2} {
		var rows [][]string
		for _, name := range []string{"retry", "breaker", "bulkhead", "hedge", "failover", "stack", "http-stack"} {
			j := job{group: "SDK", name: name}
			row := []string{name}
			none := median(r.eachCore(j, "none", cores))
			for _, side := range sdkSides {
				ns := median(r.eachCore(j, side, cores))
				cell := fmt.Sprintf("%s, %.0f", short(ns), r.median(j.key(side, cores), allocs))
				if side != "none" {
					cell += fmt.Sprintf(" (%+.0f)", ns-none)
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
		p.table(append([]string{[]string{"", "serial", "two cores"}[cores]}, sdkSides...), rows)
	}
}

func (r *report) loopbackSection(p page) {
	p.para("## GET over loopback")
	p.para("A kilobyte from a server in the same process, over connections that are kept; one client on one core, which is the server's too, and two on two. In each round every client makes a request, in an order of chance. Microseconds, and over the bare client: the time of a request (what throughput loses; of all but the slowest hundredth) and p99. What a hedge costs that does not fire is its goroutine, with a new stack that grows with the request (hedgedhttp keeps its goroutines), a timer, and copies of the request and its context.")
	for _, job := range []struct{ name, title string }{
		{"get", "**Without a time limit**: the stacks are retry, breaker, bulkhead."},
		{"get-timeout", "**With a time limit**: for each attempt of a stack; the bare client has a Timeout."},
	} {
		p.para("%s", job.title)
		p.table([]string{"", "one client: mean", "p50", "p99", "time", "p99", "two clients: mean", "p50", "p99", "time", "p99"}, r.loopbackRows(job.name))
	}
	p.para("**Where that comes from**: the policies over a stub that answers with a body, in a row, and each time right after a request over loopback: the same instructions, with caches that hold other things. Nanoseconds, on one core; in brackets over the stub.")
	p.table([]string{"", "in a row", "after a request"}, r.coldRows())
}

func (r *report) coldRows() [][]string {
	k := key{"Loopback", "cold", "", 1}
	var rows [][]string
	for _, side := range r.loopbackSides("cold", ":cold-ns") {
		row := []string{side}
		for _, of := range []string{":warm-ns", ":cold-ns"} {
			ns, floor := r.median(k, side+of), r.median(k, "floor"+of)
			cell := short(ns)
			if side != "floor" {
				cell += fmt.Sprintf(" (%+.0f)", ns-floor)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// loopbackSides are those that have reported the unit.
func (r *report) loopbackSides(job, unit string) (names []string) {
	for u := range first(r.results[key{"Loopback", job, "", 1}]) {
		if side, ok := strings.CutSuffix(u, unit); ok {
			names = append(names, side)
		}
	}
	slices.Sort(names)
	return names
}

func (r *report) loopbackRows(job string) [][]string {
	var rows [][]string
	for _, side := range r.loopbackSides(job, ":mean-ns") {
		row := []string{side}
		if side == "floor" {
			row[0] = "bare client"
		}
		for _, cores := range []int{1, 2} {
			k := key{"Loopback", job, "", cores}
			for _, of := range []string{"mean-ns", "p50-ns", "p99-ns"} {
				row = append(row, fmt.Sprintf("%.1f", r.median(k, side+":"+of)/1000))
			}
			row = append(row, percent(r.overBare(job, side, "mean-ns", cores)), percent(r.overBare(job, side, "p99-ns", cores)))
		}
		rows = append(rows, row)
	}
	return rows
}

func first(ss []sample) sample {
	if len(ss) == 0 {
		return nil
	}
	return ss[0]
}

func percent(q float64) string {
	if q == 0 {
		return ""
	}
	return fmt.Sprintf("%+.1f %%", 100*(q-1))
}
