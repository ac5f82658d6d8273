package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// tellRush says what is about to happen.
func tellRush(w io.Writer, c course) {
	fmt.Fprintf(w, `A server on this machine has %d workers, and each takes %s for a request:
together they do %d requests a second. It is asked for %d a second, then for
%s for %d, three times what it can do, and then for %d again.

Its callers go away after %s. The server does not look whether they have,
and works on. First it takes in all that comes. Then it is behind
bulkhead.Handler, which lets in %d requests at a time, has %d more wait for at
most %s, and answers 503 to the rest.

`, workers, work, capacity, c[calm].rate, c[overload].lasts, c[overload].rate, c[after].rate,
		patience, workers, queue, maxWait)
}

// drawRush draws goodput over time, on w and as a picture. A run that was not made, or was too short for a line, is not
// drawn.
func drawRush(w io.Writer, p *pictures, c course, bare, held *served) error {
	lines := chart.Lines{
		Title:  fmt.Sprintf("A server that can do %d requests a second, asked for %d", capacity, c[overload].rate),
		XLabel: "seconds",
		YLabel: "answers in time, a second",
		Spans: []chart.Span{{
			Name: fmt.Sprintf("overload: %d requests a second in place of %d", c[overload].rate, c[calm].rate),
			From: c[calm].lasts.Seconds(),
			To:   (c[calm].lasts + c[overload].lasts).Seconds(),
		}},
	}
	if len(bare.line) > 1 {
		lines.Series = append(lines.Series, bare.series("bare"))
	}
	if held != nil && len(held.line) > 1 {
		lines.Series = append(lines.Series, held.series("with the bulkhead"))
	}
	return drawBoth(w, p, "overload.svg", lines)
}

// drawBoth draws a chart on w and as a picture.
func drawBoth(w io.Writer, p *pictures, name string, lines chart.Lines) error {
	if len(lines.Series) == 0 {
		fmt.Fprintln(w, "Too short for a chart.")
		return nil
	}
	if err := lines.Terminal(w, 80); err != nil {
		return err
	}
	path, err := p.draw(name, lines)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe same as a picture: %s\n\n", path)
	return nil
}

// rushTable sets both runs side by side. A run that was not made is nil.
func rushTable(w io.Writer, c course, bare, held *served) {
	rule := strings.Repeat("-", 66)
	line := func(label string, asked, bare, held any) {
		fmt.Fprintf(w, "%-32s%10v%12v%12v\n", label, asked, bare, held)
	}
	line("", "asked for", "bare", "bulkhead")
	fmt.Fprintln(w, rule)
	for i, p := range c {
		goodput := func(r *served) string {
			if r == nil || !r.phases[i].lived() {
				return "-"
			}
			return perSecond(r.phases[i].goodput())
		}
		line("goodput, "+p.name, perSecond(float64(p.rate)), goodput(bare), goodput(held))
	}
	for _, row := range rushRows {
		cell := func(r *served) string {
			if r == nil || r.calls.all == 0 {
				return "-"
			}
			return row.value(r)
		}
		line(row.label, "", cell(bare), cell(held))
	}
	fmt.Fprintln(w, rule)
	fmt.Fprint(w, `goodput: answers in time, when they come; those that waited while the overload
ended come after it. for nobody: the caller had gone by then.
`)
}

var rushRows = []struct {
	label string
	value func(*served) string
}{
	{"requests refused with 503", func(r *served) string { return fmt.Sprint(r.calls.refused) }},
	{fmt.Sprintf("no answer within %s", patience), func(r *served) string { return fmt.Sprint(r.calls.late()) }},
	{"worked on for nobody", func(r *served) string { return fmt.Sprint(r.wasted()) }},
	{"answer in time, p50", func(r *served) string { return r.good.quantileOrNone(0.5) }},
	{"answer in time, p99", func(r *served) string { return r.good.quantileOrNone(0.99) }},
	{"refusal, p50", func(r *served) string { return r.refusals.quantileOrNone(0.5) }},
}

// quantileOrNone is a time in a table.
func (s sample) quantileOrNone(q float64) string {
	if len(s.took) == 0 {
		return "-"
	}
	return duration(s.quantile(q))
}

// concludeRush says in words what the numbers say, and nothing that they do not.
func concludeRush(w io.Writer, c course, bare, held *served) {
	if !bare.phases[overload].lived() {
		fmt.Fprintln(w, "Ended before the overload.")
		return
	}
	wrap(w, "Bare, "+bare.summary(c))
	if held == nil || !held.phases[overload].lived() {
		fmt.Fprintln(w, "Ended before the overload with the bulkhead.")
		return
	}
	wrap(w, "With the bulkhead, "+held.summary(c))
	if n := bare.calls.shed + held.calls.shed; n > 0 {
		fmt.Fprintf(w, "Not made, since this machine could not keep up: %s.\n", count(n, "call"))
	}
}

// summary is what the server was good for under overload and after it, and what it did besides.
func (r *served) summary(c course) string {
	goodput := r.phases[overload].goodput()
	text := fmt.Sprintf("the server gave %.0f answers in time a second under overload: %.0f%% of what it can do.",
		goodput, 100*goodput/float64(capacity))
	if last := r.phases[after]; last.lived() {
		text += fmt.Sprintf(" After it, it gave %.0f, with %d asked for.", last.goodput(), c[after].rate)
	}
	if r.wasted() == 0 {
		text += " It worked on no request whose caller had gone."
	} else {
		text += fmt.Sprintf(" It worked on %s whose caller had gone.", count(r.wasted(), "request"))
	}
	if r.waiting > 0 {
		text += fmt.Sprintf(" At the end it had %d more before it, %.1fs of work.", r.waiting, ratio(r.waiting, capacity))
	}
	return text
}

// wrap writes text in lines of 80 columns.
func wrap(w io.Writer, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > 80 {
			fmt.Fprintln(w, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}

func perSecond(x float64) string { return fmt.Sprintf("%.0f/s", x) }
