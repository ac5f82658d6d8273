package httpx_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestRoundTripMends(t *testing.T) {
	failed := errors.New("failed")
	closed := 0
	open := func() *body { return &body{Reader: strings.NewReader("x"), closed: &closed} }
	tests := []struct {
		name   string
		resp   *http.Response
		err    error
		method string
		want   func(resp *http.Response, err error) bool
		closed int
	}{
		{
			name: "neither",
			want: func(resp *http.Response, err error) bool {
				return resp == nil && err != nil && strings.Contains(err.Error(), "httpx_test.transport")
			},
		},
		{
			name: "both", resp: &http.Response{Body: open()}, err: failed, closed: 1,
			want: func(resp *http.Response, err error) bool { return resp == nil && err == failed },
		},
		{
			name: "both, no body", resp: &http.Response{}, err: failed,
			want: func(resp *http.Response, err error) bool { return resp == nil && err == failed },
		},
		{
			name: "error", err: failed,
			want: func(resp *http.Response, err error) bool { return resp == nil && err == failed },
		},
		{
			name: "no body", resp: &http.Response{StatusCode: 503},
			want: func(resp *http.Response, err error) bool { return resp.Body == http.NoBody && err == nil },
		},
		{
			name: "no body, but a length", resp: &http.Response{StatusCode: 200, ContentLength: 5}, method: "GET",
			want: func(resp *http.Response, err error) bool { return resp == nil && err != nil },
		},
		{
			name: "no body, a length, HEAD", resp: &http.Response{StatusCode: 200, ContentLength: 5}, method: "HEAD",
			want: func(resp *http.Response, err error) bool { return resp.Body == http.NoBody && err == nil },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			closed = 0
			base := transport(func(*http.Request) (*http.Response, error) { return tt.resp, tt.err })
			resp, err := httpx.RoundTrip(base, &http.Request{Method: tt.method})
			if !tt.want(resp, err) || closed != tt.closed {
				t.Errorf("RoundTrip = %+v, %v; closed %d times", resp, err, closed)
			}
		})
	}
}

func TestRoundTripChangesNothingInOrder(t *testing.T) {
	closed := 0
	want := &http.Response{Body: &body{Reader: strings.NewReader("x"), closed: &closed}}
	before := *want
	resp, err := httpx.RoundTrip(transport(func(*http.Request) (*http.Response, error) { return want, nil }), &http.Request{})
	if resp != want || err != nil || resp.Body != before.Body || closed != 0 {
		t.Errorf("RoundTrip = %+v, %v", resp, err)
	}
}

func TestNextPanicsOnTypedNil(t *testing.T) {
	for name, base := range map[string]http.RoundTripper{
		"*http.Transport": (*http.Transport)(nil),
		"transport":       transport(nil),
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, name) {
					t.Errorf("Next(nil %s) panicked with %q", name, msg)
				}
			}()
			httpx.Next(base)
		}()
	}
}

func TestNextKeepsBase(t *testing.T) {
	base := &http.Transport{}
	if got := httpx.Next(base); got != base {
		t.Errorf("Next(base) = %v", got)
	}
}

// setDefault replaces http.DefaultTransport until the test ends.
func setDefault(t *testing.T, base http.RoundTripper) {
	was := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = was })
	http.DefaultTransport = base
}

func TestNextReadsTheDefaultAtCallTime(t *testing.T) {
	next := httpx.Next(nil)
	resp := &http.Response{Body: http.NoBody}
	base := &closer{transport: func(*http.Request) (*http.Response, error) { return resp, nil }}
	setDefault(t, base)
	if got, err := next.RoundTrip(&http.Request{}); got != resp || err != nil {
		t.Errorf("RoundTrip = %v, %v", got, err)
	}
	httpx.CloseIdleConnections(next)
	httpx.CloseIdleConnections(nil)
	if base.idle != 2 {
		t.Errorf("CloseIdleConnections reached the default %d times, want 2", base.idle)
	}
	http.DefaultTransport = nil
	closed := 0
	if _, err := next.RoundTrip(&http.Request{Body: &body{closed: &closed}}); err == nil || closed != 1 {
		t.Errorf("without a default: %v, body closed %d times", err, closed)
	}
}

type closer struct {
	transport
	idle int
}

func (c *closer) CloseIdleConnections() { c.idle++ }

func TestCloseIdleConnectionsWithoutTheMethod(t *testing.T) {
	httpx.CloseIdleConnections(transport(nil)) // nothing to call, nothing happens
}

// wrap is what a policy's transport is: it leads on to next, and says so.
type wrap struct{ next http.RoundTripper }

func (w wrap) RoundTrip(req *http.Request) (*http.Response, error) { return w.next.RoundTrip(req) }
func (w wrap) Unwrap() http.RoundTripper                           { return w.next }

// Wrapping the default and making the wrap the default must not go round for ever.
func TestNextSurvivesBecomingTheDefault(t *testing.T) {
	calls := 0
	setDefault(t, transport(func(*http.Request) (*http.Response, error) {
		calls++
		return &http.Response{Body: http.NoBody}, nil
	}))
	for range 3 {
		http.DefaultTransport = wrap{httpx.Next(nil)}
	}
	if _, err := http.DefaultTransport.RoundTrip(&http.Request{}); err != nil || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
}
