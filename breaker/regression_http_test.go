package breaker_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// A request's body that fails says nothing about the host: it must not open its breaker, however the transport below
// wraps the error, and whether or not a retry above watches the body too.
func TestTransportBodyThatFailsIsIgnored(t *testing.T) {
	errX := errors.New("the source of the body is gone")
	below := roundTripper(func(r *http.Request) (*http.Response, error) {
		defer r.Body.Close()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, fmt.Errorf("write: %w", err)
		}
		return nil, io.ErrUnexpectedEOF
	})
	for name, wrap := range map[string]func(http.RoundTripper) http.RoundTripper{
		"alone": func(rt http.RoundTripper) http.RoundTripper { return rt },
		"under a retry": func(rt http.RoundTripper) http.RoundTripper {
			return retry.Transport(retry.MustNew(retry.Config{BaseDelay: -1}), rt)
		},
	} {
		k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 1}})
		rt := wrap(breaker.Transport(k, below))
		opened := 0
		r, _ := http.NewRequest(http.MethodPut, "http://host/", nil)
		r.GetBody = func() (io.ReadCloser, error) {
			opened++
			return io.NopCloser(io.MultiReader(strings.NewReader("start"), failingReader{errX})), nil
		}
		r.Body, _ = r.GetBody()
		_, err := rt.RoundTrip(r)
		if s := k.Get("host").Snapshot(); !errors.Is(err, errX) || opened != 1 || s.Ignored != 1 || s.Failures != 0 || s.State != breaker.Closed {
			t.Errorf("%s: %v after %d bodies: %+v", name, err, opened, s)
		}
		// The host's own failure counts, with such a body too.
		r, _ = http.NewRequest(http.MethodPost, "http://host/", io.MultiReader(strings.NewReader("all of it")))
		if _, err := rt.RoundTrip(r); !errors.Is(err, io.ErrUnexpectedEOF) || k.Get("host").Snapshot().State != breaker.Open {
			t.Errorf("%s: %v: %+v", name, err, k.Get("host").Snapshot())
		}
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// A probe's place goes back also if Classify panics, and then the body that is closed for it.
func TestClassifyAndClosePanic(t *testing.T) {
	b := breaker.MustNew(breaker.Config{OpenFor: time.Hour, MaxOpenFor: time.Hour, Classify: func(error) breaker.Outcome { panic("Classify") }})
	rt := breaker.TransportFor(b, roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: closePanics{strings.NewReader("text")}, Request: r}, nil
	}))
	forceHalfOpen(b)
	r, _ := http.NewRequest(http.MethodGet, "http://host/", nil)
	func() {
		defer func() { _ = recover() }()
		_, err := rt.RoundTrip(r)
		t.Errorf("no panic: %v", err)
	}()
	if s := b.Snapshot(); s.Probing != 0 || s.Failures != 1 || s.State != breaker.Open {
		t.Errorf("want one failure, and no probe: %+v", s)
	}
}

type closePanics struct{ io.Reader }

func (closePanics) Close() error { panic("Close") }
