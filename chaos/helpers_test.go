package chaos_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

var errBoom = errors.New("boom")

// on is an Injector of these faults that is on until the test ends.
func on(t testing.TB, faults ...chaos.Fault) *chaos.Injector {
	t.Helper()
	in := chaos.MustNew(chaos.Config{Name: "test", Seed: 1, Faults: faults})
	in.Enable()
	t.Cleanup(in.Disable)
	return in
}

// struck is how often each fault struck.
func struck(in *chaos.Injector) []uint64 {
	var n []uint64
	for _, f := range in.Snapshot().Faults {
		n = append(n, f.Struck)
	}
	return n
}

func hello(context.Context) (string, error) { return "hello", nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve runs a server until the test ends.
func serve(t testing.TB, h2 bool, h http.Handler, prepare ...func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that go, and handlers that panic
	for _, p := range prepare {
		p(s)
	}
	if s.EnableHTTP2 = h2; h2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// eachProtocol runs a test over HTTP/1.1 and over HTTP/2.
func eachProtocol(t *testing.T, test func(t *testing.T, h2 bool)) {
	t.Helper()
	for name, h2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
		t.Run(name, func(t *testing.T) { test(t, h2) })
	}
}

// over is a client of s whose requests go through the faults.
func over(in *chaos.Injector, s *httptest.Server) *http.Client {
	c := *s.Client()
	c.Transport = chaos.Transport(in, c.Transport)
	return &c
}

func request(t testing.TB, ctx context.Context, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// get returns the status, the body as far as it came, and the error of either.
func get(t testing.TB, c *http.Client, url string) (int, string, error) {
	t.Helper()
	return do(c, request(t, t.Context(), http.MethodGet, url, nil))
}

func do(c *http.Client, r *http.Request) (int, string, error) {
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// text is a page of so many bytes that are not all the same.
func text(n int) string {
	const line = "the quick brown fox jumps over the lazy dog 0123456789\n"
	return strings.Repeat(line, n/len(line)+1)[:n]
}

func page(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
}

// within ends the test if f does not end: as a bound on tests that hang, not as a measurement.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: it hangs", what)
	}
}

// awaitHeld returns when something is held, in a test that has real connections and so no bubble.
func awaitHeld(in *chaos.Injector) {
	for in.Snapshot().Held == 0 {
		runtime.Gosched()
	}
}
