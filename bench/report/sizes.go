package main

import (
	"path/filepath"
	"slices"
	"strconv"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// size is a group whose jobs are sizes.
type size struct {
	group, title, what, x string
	handover              bool
}

var sizes = []size{
	{"Keys", "A breaker among so many", "Keyed.Get by a host's name, in an order of chance, on two cores; beside a sync.Map, which forgets nothing and has no bound.", "keys", false},
	{"Window", "The size of a breaker's window", "A success through a closed breaker whose rolling window of ten steps is so many milliseconds, on two cores.", "window, ms", false},
	{"Targets", "So many targets", "failover.Do, on two cores.", "targets", false},
	{"Queue", "So many in the queue", "A bulkhead with one place, while so many others wait for it: from one call to the next. Who has it lets the others run. Holdfast's, too, serves in the order of their coming, always (an Interval below zero).", "calls that wait", true},
	{"Goroutines", "So many goroutines", "A stack of retry, breaker and bulkhead, with places for all, on two cores.", "goroutines", false},
}

// line is one side of a size.
type line struct {
	side string
	x, y []float64
}

func (r *report) lines(s size) []line {
	var found []line
	var keys []key
	for k := range r.results {
		if k.group == s.group {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		x, _ := strconv.ParseFloat(a.job, 64)
		y, _ := strconv.ParseFloat(b.job, 64)
		return sign(x - y)
	})
	for _, k := range keys {
		i := slices.IndexFunc(found, func(l line) bool { return l.side == k.side })
		if i < 0 {
			i = len(found)
			found = append(found, line{side: k.side})
		}
		x, err := strconv.ParseFloat(k.job, 64)
		if err != nil {
			continue
		}
		ns := median(r.eachCore(job{group: k.group, name: k.job, handover: s.handover}, k.side, k.cores))
		found[i].x, found[i].y = append(found[i].x, x), append(found[i].y, ns)
	}
	slices.SortFunc(found, func(a, b line) int {
		if isOurs(a.side) != isOurs(b.side) {
			return map[bool]int{true: -1, false: 1}[isOurs(a.side)]
		}
		return map[bool]int{true: -1, false: 1}[a.side < b.side]
	})
	return found
}

func (r *report) sizesSection(p page) {
	p.para("## By size")
	p.para("The bounds above are about the jobs, not about what is here.\n\n**100,000 idle breakers** that have never been called, each with its rolling window (go-resiliency has none): bytes of heap for one.")
	var rows [][]string
	for k := range r.results {
		if k.group == "Memory" {
			rows = append(rows, []string{k.side, count(r.median(k, "B/breaker"))})
		}
	}
	slices.SortFunc(rows, func(a, b []string) int {
		x, _ := strconv.Atoi(a[1])
		y, _ := strconv.Atoi(b[1])
		return x - y
	})
	p.table([]string{"", "bytes"}, rows)
	for _, s := range sizes {
		lines := r.lines(s)
		if len(lines) == 0 {
			continue
		}
		p.para("### %s", s.title)
		unit := "ns of one core for a call"
		if s.handover {
			unit = "ns"
		}
		p.para("%s %s.", s.what, unit)
		header := []string{s.x}
		for _, x := range lines[0].x {
			header = append(header, strconv.FormatFloat(x, 'f', -1, 64))
		}
		var rows [][]string
		for _, l := range lines {
			row := []string{l.side}
			for _, y := range l.y {
				row = append(row, short(y))
			}
			rows = append(rows, row)
		}
		p.table(header, rows)
		p.para("![%s](%s)", s.title, s.file())
	}
}

func (s size) file() string { return "results-" + s.group + ".svg" }

// charts draws the jobs and the sizes.
func (r *report) charts(dir string) error {
	if err := r.drawJobs(dir); err != nil {
		return err
	}
	for _, s := range sizes {
		c := chart.Lines{Title: s.title, XLabel: s.x, YLabel: "ns a call", LogX: true, LogY: true}
		for _, l := range r.lines(s) {
			c.Series = append(c.Series, chart.Series{Name: l.side, X: l.x, Y: l.y})
		}
		if len(c.Series) == 0 {
			continue
		}
		if err := write(filepath.Join(dir, s.file()), c.SVG); err != nil {
			return err
		}
	}
	return nil
}
