package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

// lag is how late a goroutine is that does nothing but sleep, on this machine, now: what comes late by itself is no fault of a
// policy.
type lag struct {
	most atomic.Int64
	stop chan struct{}
	done chan struct{}
}

func measureLag() *lag {
	l := &lag{stop: make(chan struct{}), done: make(chan struct{})}
	go l.measure()
	return l
}

func (l *lag) measure() {
	defer close(l.done)
	for {
		began := time.Now()
		timer := time.NewTimer(ms)
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		runtime.Gosched() // who is woken by a timer comes first, and what that wakes waits behind all others
		late := int64(time.Since(began) - ms)
		for {
			most := l.most.Load()
			if late <= most || l.most.CompareAndSwap(most, late) {
				break
			}
		}
	}
}

// worst is the longest since it was last asked.
func (l *lag) worst() time.Duration { return time.Duration(l.most.Swap(0)) }

func (l *lag) close() {
	close(l.stop)
	<-l.done
}
