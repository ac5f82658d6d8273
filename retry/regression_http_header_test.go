package retry_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/retry"
)

// A nil Header is what a request literal has: the number of the attempt has to be written somewhere all the same.
func TestNilHeaderIsRepeated(t *testing.T) {
	base := answers(503)
	r, _ := http.NewRequest("GET", "http://host/", nil)
	r.Header = nil
	resp, err := retry.Transport(retry.MustNew(quick), base).RoundTrip(r)
	if err != nil || resp.StatusCode != 503 || base.n != 3 || r.Header != nil {
		t.Errorf("%v, %v after %d requests; the caller's header is now %v", resp, err, base.n, r.Header)
	}
}

// traced is what many a middleware is: it writes to the request that it was given.
type traced struct{ next http.RoundTripper }

func (m traced) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Add("Traceparent", "1")
	return m.next.RoundTrip(r)
}

// http.DefaultTransport may be replaced after the Transport over it was made; the attempts do not see each other's headers
// then either.
func TestDefaultTransportReplaced(t *testing.T) {
	var got []int
	base := answers(503)
	respond := base.answer
	base.answer = func(n int, r *http.Request) (*http.Response, error) {
		got = append(got, len(r.Header["Traceparent"]))
		return respond(n, r)
	}
	before := retry.Transport(retry.MustNew(quick), nil)
	old := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = old })
	http.DefaultTransport = traced{base}
	for _, tr := range []http.RoundTripper{before, retry.Transport(retry.MustNew(quick), nil), retry.Transport(retry.MustNew(quick), before)} {
		for _, own := range []http.Header{{}, {"X-Own": {"1"}}} {
			got = nil
			r, _ := http.NewRequest("GET", "http://host/", nil)
			r.Header = own
			if _, err := tr.RoundTrip(r); err != nil || !slices.Equal(got, []int{1, 1, 1}) {
				t.Errorf("%v: the attempts had %v headers of the middleware: %v", own, got, err)
			}
		}
	}
}

// A proxy copies its caller's headers, but counts its own attempts.
func TestProxyCountsItsOwnAttempts(t *testing.T) {
	var got []string
	base := answers(503)
	respond := base.answer
	base.answer = func(n int, r *http.Request) (*http.Response, error) {
		got = append(got, strings.Join(r.Header["Holdfast-Attempt"], ","))
		return respond(n, r)
	}
	for _, test := range []struct {
		silent bool
		want   []string
	}{{false, []string{"", "2", "3"}}, {true, []string{"", "", ""}}} {
		c := quick
		c.NoAttemptHeader = test.silent
		got = nil
		r, _ := http.NewRequest("GET", "http://host/", nil)
		r.Header.Set("Holdfast-Attempt", "7")
		if _, err := retry.Transport(retry.MustNew(c), base).RoundTrip(r); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("told the server %q, want %q: %v", got, test.want, err)
		}
		if r.Header.Get("Holdfast-Attempt") != "7" {
			t.Error("the caller's request was modified")
		}
	}
}
