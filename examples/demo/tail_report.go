package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// tellTail says what is about to happen.
func tellTail(w io.Writer, o options) {
	uneven := natures[len(natures)-1]
	fmt.Fprintf(w, `Three servers on this machine know the same, and take 2 to 5 ms to say it. But
one of them pauses before %g %% of its requests: for a little more than %s as
a rule, and now and then for up to %s. They are asked in turn, %d times a
second.

Each call is made twice at the same time, to two sets of such servers: as it is,
and under hedge.Run, which asks the next server as well when the first has not
answered for longer than most calls take, and takes the answer that comes first.
It may make %g %% more requests, no more. A call's first request takes a server
the same time in both (seed %d).

`, 100*uneven.share, uneven.least, uneven.most, tailRate, 100*extraLoad, o.seed)
}

// drawTail draws how long the calls took, on w and as a picture.
func drawTail(w io.Writer, p *pictures, bare, hedged *quickness) error {
	lines := chart.Lines{
		Title:     "Three servers, of which one is slow at times",
		XLabel:    "of the calls are at least as fast",
		YLabel:    "ms",
		Quantiles: true,
		LogY:      true,
	}
	for _, s := range []chart.Series{bare.series("bare"), hedged.series("hedged")} {
		if len(s.X) > 1 {
			lines.Series = append(lines.Series, s)
		}
	}
	return drawBoth(w, p, "tail.svg", lines)
}

// The chart ends at 99.9 %, or where a single call is left.
const (
	nines         = 3
	pointsPerNine = 20
)

// series is the quantiles, for a chart.
func (q *quickness) series(name string) chart.Series {
	s := chart.Series{Name: name}
	for i := range nines*pointsPerNine + 1 {
		left := math.Pow(10, -float64(i)/pointsPerNine) // the share of the calls that take longer
		if left*float64(len(q.took)) < 1 {
			break
		}
		s.X = append(s.X, 1-left)
		s.Y = append(s.Y, max(milliseconds(q.quantile(1-left)), 0.001)) // a logarithmic axis has no zero
	}
	return s
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// tailTable sets both runs side by side.
func tailTable(w io.Writer, bare, hedged *quickness) {
	rule := strings.Repeat("-", 48)
	fmt.Fprintf(w, "%-24s%12s%12s\n%s\n", "", "bare", "hedged", rule)
	for _, row := range tailRows {
		cell := func(q *quickness) string {
			if q.calls == 0 {
				return "-"
			}
			return row.value(q)
		}
		fmt.Fprintf(w, "%-24s%12s%12s\n", row.label, cell(bare), cell(hedged))
	}
	fmt.Fprintln(w, rule)
}

var tailRows = []struct {
	label string
	value func(*quickness) string
}{
	{"calls", func(q *quickness) string { return fmt.Sprint(q.calls) }},
	{"calls that failed", func(q *quickness) string { return fmt.Sprint(q.failed()) }},
	{"p50", func(q *quickness) string { return q.quantileOrNone(0.5) }},
	{"p90", func(q *quickness) string { return q.quantileOrNone(0.9) }},
	{"p99", func(q *quickness) string { return q.quantileOrNone(0.99) }},
	{"p99.9", func(q *quickness) string { return q.quantileOrNone(0.999) }},
	{"the slowest", func(q *quickness) string { return q.quantileOrNone(1) }},
	{"requests/call", func(q *quickness) string { return fmt.Sprintf("%.3f", q.load()) }},
}

// concludeTail says in words what the numbers say, and nothing that they do not.
func concludeTail(w io.Writer, bare, hedged *quickness) {
	if len(bare.took) == 0 || len(hedged.took) == 0 {
		fmt.Fprintln(w, "Ended before the first call.")
		return
	}
	wrap(w, "Bare, "+bare.summary())
	wrap(w, "Hedged, "+hedged.summary())
	wrap(w, hedged.price())
	if n := bare.shed + hedged.shed; n > 0 {
		fmt.Fprintf(w, "Not made, since this machine could not keep up: %s.\n", count(n, "call"))
	}
}

// summary is how long the calls took.
func (q *quickness) summary() string {
	text := fmt.Sprintf("half of %d calls took %s at most", len(q.took), duration(q.quantile(0.5)))
	if len(q.took) >= 100 {
		text += fmt.Sprintf(", but 1 in 100 took %s or more", duration(q.quantile(0.99)))
	}
	if len(q.took) >= 1000 {
		text += fmt.Sprintf(", and 1 in 1000 %s", duration(q.quantile(0.999)))
	}
	if n := q.failed() - q.shed; n > 0 {
		text += fmt.Sprintf(". %d failed", n)
	}
	return text + "."
}

// price is what was paid for it, as the servers and as the policy counted it.
func (q *quickness) price() string {
	s := q.policy
	text := fmt.Sprintf("The price: the servers got %.1f %% more requests than there were calls. The policy counted %s, %.1f %% of the calls",
		100*(ratio(int(q.requests), len(q.took))-1), count(int(s.Hedges), "hedge"), 100*s.HedgeShare())
	if s.Hedges > 0 {
		text += fmt.Sprintf(", and of these %.0f %% were faster than the first attempt", 100*s.WinShare())
	}
	return text + fmt.Sprintf(". At the end it waited %s before one.", duration(s.Delay))
}
