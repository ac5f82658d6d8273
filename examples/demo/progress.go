package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress reports on a run while it lasts: on a terminal in one line that is always up to date, else in a few lines.
type progress struct {
	out      io.Writer
	terminal bool
}

// isTerminal tells a terminal from a file and a pipe.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// timed is a run that can be reported on.
type timed interface {
	title() string
	length() time.Duration
	planned() int                     // calls
	progress() (calls, successes int) // so far
}

// during reports on r while load lasts.
func (p progress) during(r timed, load func()) {
	done, followed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(followed)
		p.follow(r, done)
	}()
	load()
	close(done)
	<-followed
}

// follow reports on r until done is closed.
func (p progress) follow(r timed, done <-chan struct{}) {
	every, step := r.length()/4, r.planned()/5
	if p.terminal {
		every, step = 100*time.Millisecond, 0
	}
	last := 0
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if calls, _ := r.progress(); calls-last >= step { // while the last calls end there is little to tell
				last = calls
				p.line(r)
			}
		case <-done:
			p.line(r)
			if p.terminal {
				fmt.Fprintln(p.out)
			}
			return
		}
	}
}

func (p progress) line(r timed) {
	calls, successes := r.progress()
	text := fmt.Sprintf("%-8s  %s  %5d of %d calls, %s succeeded",
		r.title(), bar(ratio(calls, r.planned()), 20), calls, r.planned(), share(ratio(successes, calls)))
	if p.terminal {
		fmt.Fprintf(p.out, "\r%s\x1b[K", text)
	} else {
		fmt.Fprintln(p.out, text)
	}
}

// bar is full where done is 1.
func bar(done float64, width int) string {
	full := min(int(done*float64(width)), width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
