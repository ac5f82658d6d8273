// Httpclient answers: what does an HTTP client with both policies look like, and what does its caller do when it is
// refused?
//
// It starts a server of prices on loopback, breaks it in four ways one after the other, and says what a caller sees. It
// exits non-zero if that is not what it should be.
//
//	go run ./examples/httpclient
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "httpclient:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	backend := startBackend()
	defer backend.Close()
	prices, err := newPrices(backend.URL)
	if err != nil {
		return err
	}
	// All of it takes a second and a half. What takes many times as long is wrong.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	s := story{out: out, backend: backend, prices: prices}
	s.step(ctx, "all is well", well, fresh(1))
	s.step(ctx, "one answer is 503: the retry makes up for it", busyOnce, fresh(2))
	s.step(ctx, "one answer does not come: its attempt is given up, the next one is fine", hangOnce, fresh(2))
	s.step(ctx, "the server is down: three attempts, then what is cached", down, stale(3))
	s.step(ctx, "still down: the second failure of this call is the fifth in a row, and opens the breaker", down, stale(2))
	s.step(ctx, "the breaker is open: the cached price at once, and the server is left alone", down, stale(0))
	s.wait()
	s.step(ctx, "the server is back, the cool-down over: a probe finds out", well, fresh(1))
	return s.err
}

// story makes one call a step, and checks what came of it.
type story struct {
	out     io.Writer
	backend *backend
	prices  *prices
	last    price
	err     error // the first step that went otherwise
}

// want is what a step should see.
type want struct {
	stale    bool
	requests int64 // that reached the server
}

func fresh(requests int64) want { return want{false, requests} }
func stale(requests int64) want { return want{true, requests} }

func (s *story) step(ctx context.Context, what string, m mode, want want) {
	if s.err != nil {
		return
	}
	before := s.backend.requests.Load()
	s.backend.behave(m)
	p, err := s.prices.get(ctx, "tea")
	requests := s.backend.requests.Load() - before
	fmt.Fprintf(s.out, "%s\n    %v, requests: %d\n", what, p, requests)
	s.last = p
	switch {
	case err != nil:
		s.err = fmt.Errorf("%s: %w", what, err)
	case p.stale != want.stale || requests != want.requests:
		s.err = fmt.Errorf("%s: stale %t after %d requests, want %t after %d", what, p.stale, requests, want.stale, want.requests)
	}
}

// wait does what a refusal asks for.
func (s *story) wait() {
	if s.err == nil {
		time.Sleep(s.last.retryAfter)
	}
}
