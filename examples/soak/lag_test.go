package main

import (
	"testing"
	"time"
)

func TestLag(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }
	l := &lag{}
	l.add(nap{at(0), 9 * ms})           // until 10 ms
	l.add(nap{at(10 * ms), 2 * ms})     // until 13 ms
	l.add(nap{at(100 * ms), 50 * ms})   // until 151 ms
	l.add(nap{at(200 * ms), time.Hour}) // still
	for _, test := range []struct{ from, to, want time.Duration }{
		{0, 5 * ms, 9 * ms},
		{11 * ms, 12 * ms, 2 * ms},
		{20 * ms, 90 * ms, 0},
		{20 * ms, 110 * ms, 50 * ms},
		{150 * ms, 190 * ms, 50 * ms},
		{152 * ms, 190 * ms, 0},
		{152 * ms, time.Second, time.Hour},
	} {
		if got := l.worst(at(test.from), at(test.to)); got != test.want {
			t.Errorf("from %v to %v: %v, want %v", test.from, test.to, got, test.want)
		}
	}
	l.forget()
	if got := l.worst(at(0), at(time.Hour)); got != 0 {
		t.Errorf("%v after it was forgotten", got)
	}
	l.now = time.Now().Add(-time.Minute)
	if got := l.worst(l.now.Add(time.Second), time.Now()); got < time.Minute-time.Second {
		t.Errorf("%v while a nap is a minute late", got)
	}
}

// TestLagMeasures: it is measured while it is open, and not after.
func TestLagMeasures(t *testing.T) {
	l := measureLag()
	for range 5000 {
		l.mu.Lock()
		n := len(l.naps)
		l.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(ms)
	}
	l.close()
	if len(l.naps) == 0 {
		t.Error("nothing was measured")
	}
}
