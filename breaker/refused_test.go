package breaker_test

import (
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
