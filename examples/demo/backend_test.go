package main

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// always starts a backend that fails in one way from its start on.
func always(t *testing.T, f fault, lasts time.Duration) (*backend, *http.Client) {
	t.Helper()
	b, err := startBackend(kind{"test", []trouble{{fault: f, share: 1}}}, 1, lasts)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
	return b, &http.Client{Transport: transport}
}

func TestBackendFaults(t *testing.T) {
	tests := []struct {
		fault fault
		want  func(error) bool
	}{
		{none, func(err error) bool { return err == nil }},
		{busy, func(err error) bool { return err != nil && err.Error() == "503 Service Unavailable" }},
		{stalled, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{reset, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
	}
	for _, test := range tests {
		t.Run(string(test.fault), func(t *testing.T) {
			deadline := time.Minute
			if test.fault == stalled {
				deadline = 50 * time.Millisecond
			}
			b, client := always(t, test.fault, time.Hour)
			for range 3 {
				if err := get(t.Context(), client, b.url(), deadline); !test.want(err) {
					t.Errorf("got %v", err)
				}
			}
			if n := b.requests.Load(); n != 3 {
				t.Errorf("%d requests counted, want 3", n)
			}
			if n := b.connections.Load(); n < 1 || n > 3 {
				t.Errorf("%d connections counted, want 1 to 3", n)
			}
		})
	}
}

// TestBackendComesBack: on the port that it had before.
func TestBackendComesBack(t *testing.T) {
	b, client := always(t, down, 50*time.Millisecond)
	ended := <-b.life // the outage is over
	b.life <- ended   // for end
	for range 3 {
		if err := get(t.Context(), client, b.url(), time.Minute); err != nil {
			t.Fatalf("up: %v", err)
		}
		b.close()
		if err := get(t.Context(), client, b.url(), time.Minute); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("down: got %v, want connection refused", err)
		}
		if err := b.comeBack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackendEnds: neither a stalled request nor an outage holds it up.
func TestBackendEnds(t *testing.T) {
	t.Run(string(stalled), func(t *testing.T) {
		b, client := always(t, stalled, time.Hour)
		failed := make(chan error, 1)
		go func() { failed <- get(context.Background(), client, b.url(), time.Hour) }()
		for b.requests.Load() == 0 {
			runtime.Gosched()
		}
		b.stop() // and end, in the clean-up
		if err := <-failed; err == nil {
			t.Error("a stalled request was answered")
		}
	})
	t.Run(string(down), func(t *testing.T) {
		b, client := always(t, down, time.Hour)
		for range 5000 { // until it has gone down
			if errors.Is(get(t.Context(), client, b.url(), time.Minute), syscall.ECONNREFUSED) {
				return
			}
		}
		t.Error("never went down")
	})
}
