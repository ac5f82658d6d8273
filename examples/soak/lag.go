package main

import (
	"runtime"
	"sync"
	"time"
)

// lag is how late a goroutine is that does nothing but sleep, on this machine, now: what comes late by itself is no fault of a
// policy.
type lag struct {
	mu   sync.Mutex
	naps []nap
	now  time.Time // when the nap began that has not ended

	stop, done chan struct{}
}

// nap is a sleep of a millisecond, and what it took longer.
type nap struct {
	began time.Time
	late  time.Duration
}

func measureLag() *lag {
	l := &lag{stop: make(chan struct{}), done: make(chan struct{})}
	go l.measure()
	return l
}

func (l *lag) measure() {
	defer close(l.done)
	for {
		began := l.begin()
		timer := time.NewTimer(ms)
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		runtime.Gosched() // who is woken by a timer comes first, and what that wakes waits behind all others
		l.add(nap{began, time.Since(began) - ms})
	}
}

func (l *lag) begin() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = time.Now()
	return l.now
}

func (l *lag) add(n nap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.naps = append(l.naps, n)
}

// worst is the longest of those that fell into this time, in part at least.
func (l *lag) worst(from, to time.Time) (worst time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if late := time.Since(l.now) - ms; !l.now.IsZero() && l.now.Before(to) {
		worst = max(late, 0)
	}
	for _, n := range l.naps {
		if n.began.Before(to) && n.began.Add(ms+n.late).After(from) {
			worst = max(worst, n.late)
		}
	}
	return worst
}

// forget drops what was measured.
func (l *lag) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.naps = nil
}

func (l *lag) close() {
	close(l.stop)
	<-l.done
}
