package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// tellOutage says what is about to happen.
func tellOutage(w io.Writer, lasts time.Duration) {
	fmt.Fprintf(w, `Three servers on this machine know the same: a large one has %d turns of 6, a
medium one %d, a small one %d. One of them is asked %d times a second. After
%s the large one is killed, with all its connections, and after %s it is
started again.

Each call is made twice at the same time: with a bare http.Client, which asks
the server whose turn it is, and through failover.Transport. That asks another
server when one fails, and leaves one alone that has failed 5 times in a row:
first for %s, then for %s. Single calls find out whether it is back; then
it gets its share again over %s.

`, members[0].weight, members[1].weight, members[2].weight, outageRate, killed(lasts), restarted(lasts),
		ejectFor(lasts), 2*ejectFor(lasts), slowStart(lasts))
}

// drawOutage draws who answers over time, on w and as a picture.
func drawOutage(w io.Writer, p *pictures, s *story) error {
	lines := chart.Lines{
		Title:  "Three servers, of which one is killed",
		XLabel: "seconds",
		YLabel: "% of the answers",
		Series: s.series(),
	}
	if from, to := s.outage(); to > from {
		lines.Spans = []chart.Span{{Name: members[0].name + " is down", From: from.Seconds(), To: to.Seconds()}}
	}
	return drawBoth(w, p, "traffic.svg", lines)
}

// outageTable sets both runs side by side, and who answered when. Then it tells what happened.
func outageTable(w io.Writer, s *story) {
	rule := strings.Repeat("-", 72)
	fmt.Fprintf(w, "%-24s%12s%12s\n%s\n", "", "bare", "failover", rule)
	for _, row := range outageRows {
		cell := func(k kept) string {
			if k.calls == 0 {
				return "-"
			}
			return row.value(k)
		}
		fmt.Fprintf(w, "%-24s%12s%12s\n", row.label, cell(s.bare), cell(s.held))
	}
	fmt.Fprintln(w, rule)
	shareTable(w, s)
	fmt.Fprintln(w, rule)
	for _, l := range s.log() {
		fmt.Fprintf(w, "%7.2fs  %s\n", l.at.Seconds(), l.text)
	}
}

var outageRows = []struct {
	label string
	value func(kept) string
}{
	{"calls", func(k kept) string { return fmt.Sprint(k.calls) }},
	{"calls lost", func(k kept) string { return fmt.Sprint(k.lost()) }},
	{"attempts/call", func(k kept) string { return fmt.Sprintf("%.3f", k.load()) }},
	{"answer, p50", func(k kept) string { return k.good.quantileOrNone(0.5) }},
	{"answer, p99", func(k kept) string { return k.good.quantileOrNone(0.99) }},
	{"answer, the slowest", func(k kept) string { return k.good.quantileOrNone(1) }},
}

// shareTable is each server's share of the answers, under failover.
func shareTable(w io.Writer, s *story) {
	fmt.Fprintf(w, "%-24s", "answers come from")
	rows := make([]string, len(members))
	for i, m := range members {
		rows[i] = fmt.Sprintf("%-24s", "the "+m.name+" one")
	}
	for _, e := range s.eras() {
		fmt.Fprintf(w, "%12s", e.name)
		shares, answers := s.shares(e.from, e.to)
		for i, share := range shares {
			cell := "-"
			if answers > 0 {
				cell = fmt.Sprintf("%.0f%%", 100*share)
			}
			rows[i] += fmt.Sprintf("%12s", cell)
		}
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(rows, "\n"))
}

// concludeOutage says in words what the numbers say, and nothing that they do not.
func concludeOutage(w io.Writer, s *story) {
	if len(s.bare.took) == 0 || len(s.held.took) == 0 {
		fmt.Fprintln(w, "Ended before the first call.")
		return
	}
	wrap(w, "Bare, "+s.bare.losses())
	wrap(w, "Under failover, "+s.held.losses()+" "+s.healing())
	wrap(w, s.price())
	if n := s.bare.shed + s.held.shed; n > 0 {
		fmt.Fprintf(w, "Not made, since this machine could not keep up: %s.\n", count(n, "call"))
	}
}

// losses is how many calls were lost.
func (k kept) losses() string {
	made := len(k.took)
	if n := k.lost(); n > 0 {
		return fmt.Sprintf("%d of %d calls were lost (1 in %.0f).", n, made, float64(made)/float64(n))
	}
	return fmt.Sprintf("none of %d calls was lost.", made)
}

// healing is how long it took to leave the server out, and to take it back.
func (s *story) healing() string {
	if s.down == 0 {
		return "It ended before a server was killed."
	}
	name := "The " + members[0].name + " server "
	if s.ejected() == 0 {
		return name + "was not left out."
	}
	text := fmt.Sprintf("%swas left out %s after it was killed", name, duration(s.ejected()-s.down))
	if at := s.back(); at > 0 {
		text += fmt.Sprintf(", and taken back %s after it was started again", duration(at-s.up))
	}
	return text + "."
}

// price is what was paid for it, as the group and as the client counted it.
func (s *story) price() string {
	return fmt.Sprintf("The price: %s beside the first of a call, in %d calls by the group's own count; %.3f for each call.",
		count(int(s.group.Failovers), "attempt"), s.group.Calls, s.held.load())
}
