package main

import (
	"sync/atomic"
	"time"
)

// lag is how late plain sleeps are on this machine, now: what comes late by itself is no fault of a policy.
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
