package main

import (
	"context"
	"runtime/pprof"
	"sync"
	"time"
)

// label is what goroutines of a combination are known by.
const label = "combination"

// stuck is when a call that has not returned will not. Tests do not wait so long.
var stuck = 30 * time.Second

// burst makes all calls of a world, and waits for them. It reports false if some do not return.
func (w *world) burst() (ok bool) {
	done := make(chan struct{})
	var all sync.WaitGroup
	w.enable()
	pprof.Do(context.Background(), pprof.Labels(label, w.String()), func(context.Context) {
		for _, c := range w.calls {
			all.Go(func() {
				time.Sleep(c.from)
				c.make(w)
			})
		}
		go func() {
			defer close(done)
			all.Wait()
		}()
	})
	select {
	case <-done:
		return true
	case <-time.After(stuck):
		for _, c := range w.calls {
			if !c.returned.Load() {
				w.complain("%s: it has not returned, %v after the calls began", c, stuck)
			}
		}
		return false
	}
}
