package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// report is what was measured, and how.
type report struct {
	results
	count     int
	benchtime time.Duration
	date      time.Time
	about     about
}

// summary prints the ratios, for a terminal.
func (r *report) summary(w io.Writer) {
	fmt.Fprintf(w, "%s\n%d of %v a side; the ratio to the fastest peer that does the same work, on one core and on two; below 1 is faster\n\n", r.about, r.count, r.benchtime)
	for _, j := range jobs {
		if len(r.results[j.key(ours, 1)]) == 0 {
			continue
		}
		fmt.Fprintf(w, "%-28s %9s ns %3.0f allocs", j.group+" "+j.name, short(r.median(j.key(ours, 1), perOp)), r.median(j.key(ours, 1), allocs))
		for _, cores := range []int{1, 2} {
			if peer := r.fastest(j, cores); peer != "" {
				fmt.Fprintf(w, "   %5.2f of %s", r.against(j, ours, peer, cores), peer)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	for _, b := range bounds {
		v := b.judge(r)
		if v.unknown {
			continue
		}
		fmt.Fprintf(w, "%-6s  %s: %s: %s\n", strings.Trim(v.word(), "*"), b.job, b.want, v.measured)
		for _, m := range v.missed {
			fmt.Fprintf(w, "          %s: %s\n", m.job, m.by)
		}
	}
}

// short is three digits, or all before the point.
func short(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
