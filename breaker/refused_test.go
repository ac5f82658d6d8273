package breaker_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
)

// A server that refuses a few requests for want of a place, and says so, works on the others: its breaker stays closed, whatever
// the Retry-After. One that does not say so is believed to be away.
func TestTransportRefusedByTheServer(t *testing.T) {
	for mark, want := range map[string]breaker.State{"yes": breaker.Closed, "Yes ": breaker.Closed, "": breaker.Open, "no": breaker.Open} {
		b := breaker.MustNew(breaker.Config{})
		full := breaker.TransportFor(b, roundTripper(func(*http.Request) (*http.Response, error) {
			h := http.Header{"Retry-After": {"30"}, "Holdfast-Refused": {mark}}
			return &http.Response{StatusCode: 503, Header: h, Body: http.NoBody}, nil
		}))
		for range 10 {
			if resp, err := full.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil)); err == nil {
				resp.Body.Close()
			}
		}
		s := b.Snapshot()
		if s.State != want || want == breaker.Closed && (s.Ignored != 10 || s.Failures != 0) {
			t.Errorf("%q: %+v, want %v", mark, s, want)
		}
	}
}

// Only the answer to a request without a place is such a refusal: 503 or 429. The mark on another one is left over.
func TestTransportRefusedByItsStatus(t *testing.T) {
	for status, want := range map[int]breaker.State{503: breaker.Closed, 429: breaker.Closed, 500: breaker.Open, 502: breaker.Open, 504: breaker.Open} {
		b := breaker.MustNew(breaker.Config{})
		over := breaker.TransportFor(b, roundTripper(func(*http.Request) (*http.Response, error) {
			h := http.Header{"Holdfast-Refused": {"yes"}}
			return &http.Response{StatusCode: status, Header: h, Body: http.NoBody}, nil
		}))
		for range 10 {
			if resp, err := over.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil)); err == nil {
				resp.Body.Close()
			}
		}
		if got := b.State(); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}

// Classify may hold refusals against a server: they come to it with their status.
func TestTransportRefusedClassify(t *testing.T) {
	b := breaker.MustNew(breaker.Config{Classify: func(err error) breaker.Outcome {
		if status := (*breaker.StatusError)(nil); errors.As(err, &status) && status.StatusCode == 503 {
			return breaker.Failure
		}
		return breaker.DefaultClassify(err)
	}})
	full := breaker.TransportFor(b, roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Header: http.Header{"Holdfast-Refused": {"yes"}}, Body: http.NoBody}, nil
	}))
	for range 5 {
		resp, err := full.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if got := b.State(); got != breaker.Open {
		t.Errorf("%v after five", got)
	}
}
