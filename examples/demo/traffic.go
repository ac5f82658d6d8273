package main

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// traffic takes down which server answers, and when. It sees each attempt.
type traffic struct {
	http.RoundTripper

	mu       sync.Mutex
	attempts int
	came     []reply
}

// reply is an answer, in time.
type reply struct {
	from string // host and port
	at   time.Time
}

// RoundTrip implements http.RoundTripper.
func (t *traffic) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts++
	if err == nil {
		t.came = append(t.came, reply{req.URL.Host, time.Now()})
	}
	return resp, err
}

// replies are those that came so far, and how many attempts there were.
func (t *traffic) replies() (came []reply, attempts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.came), t.attempts
}
