package main

import (
	"bytes"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

// settledGoroutines is how many there are once those that only begin, or end, have done so.
func settledGoroutines() int {
	n := runtime.NumGoroutine()
	for still := 0; still < 20; still++ {
		time.Sleep(ms)
		if now := runtime.NumGoroutine(); now != n {
			n, still = now, 0
		}
	}
	return n
}

// blame complains of goroutines that are left, to the combinations that have them. Those of nobody are the first one's.
func (s *soak) blame(worlds []*world) {
	found := 0
	for _, stack := range goroutines() {
		for _, w := range worlds {
			if strings.Contains(stack, `"`+w.String()+`"`) {
				w.complain("a goroutine is left: %s", stack)
				found++
				break
			}
		}
	}
	if found == 0 {
		worlds[0].complain("%d goroutines were there at the start, %d now, in this combination or one beside it:\n%s",
			s.base, runtime.NumGoroutine(), strings.Join(goroutines(), "\n\n"))
	}
}

// goroutines are the stacks of all, those that are alike together.
func goroutines() []string {
	var text bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&text, 1) // a buffer takes all
	return strings.Split(strings.TrimSpace(text.String()), "\n\n")
}
