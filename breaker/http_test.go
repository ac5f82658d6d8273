package breaker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// server answers with the status and headers that the test sets, over HTTP/1.1 or HTTP/2.
type server struct {
	*httptest.Server
	status     atomic.Int64
	retryAfter atomic.Value
	requests   atomic.Int64
}

func eachProtocol(t *testing.T, f func(t *testing.T, s *server)) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[h2], func(t *testing.T) {
			s := &server{}
			s.status.Store(200)
			s.retryAfter.Store("")
			s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.requests.Add(1)
				if v := s.retryAfter.Load().(string); v != "" {
					w.Header().Set("Retry-After", v)
				}
				w.WriteHeader(int(s.status.Load()))
				io.WriteString(w, "body")
			}))
			s.EnableHTTP2 = h2
			if h2 {
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			f(t, s)
		})
	}
}

func (s *server) client(k *breaker.Keyed[string]) *http.Client {
	return &http.Client{Transport: breaker.Transport(k, s.Client().Transport)}
}

func get(t *testing.T, c *http.Client, url string) (int, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "body" {
		t.Fatalf("body %q, %v: the caller is to get all of it", body, err)
	}
	return resp.StatusCode, nil
}

func TestTransportOpensOnStatus(t *testing.T) {
	eachProtocol(t, func(t *testing.T, s *server) {
		k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 3}})
		c := s.client(k)
		for _, status := range []int64{404, 400, 409, 501, 505} {
			s.status.Store(status)
			for range 5 {
				if got, err := get(t, c, s.URL); err != nil || int64(got) != status {
					t.Fatalf("status %d: got %d, %v", status, got, err)
				}
			}
		}
		s.status.Store(500)
		for range 3 {
			if got, err := get(t, c, s.URL); err != nil || got != 500 {
				t.Fatalf("got %d, %v: the response is the caller's, failure or not", got, err)
			}
		}
		before := s.requests.Load()
		_, err := get(t, c, s.URL)
		var refusal *breaker.OpenError
		if !errors.As(err, &refusal) || s.requests.Load() != before {
			t.Fatalf("got %v, and %d requests more: want a refusal", err, s.requests.Load()-before)
		}
		var status *breaker.StatusError
		if !errors.As(refusal.Cause, &status) || status.StatusCode != 500 {
			t.Errorf("the refusal %v does not tell of the 500", err)
		}
	})
}

func TestTransportRetryAfter(t *testing.T) {
	eachProtocol(t, func(t *testing.T, s *server) {
		for _, test := range []struct {
			status int64
			header string
			most   time.Duration // open for, about
			opens  bool
		}{
			{429, "7", 7 * time.Second, true},
			{503, "in 20 s", 20 * time.Second, true},
			{503, "99999999999999999999", time.Minute, true},
			{503, "-1", 0, false},
			{503, "soon", 0, false},
			{500, "7", 0, false},
			{200, "7", 0, false},
		} {
			k := newKeyed(t, breaker.KeyedConfig{})
			c := s.client(k)
			s.status.Store(test.status)
			if test.header == "in 20 s" { // from the moment of the answer, or a slow machine would have fewer left
				test.header = time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
			}
			s.retryAfter.Store(test.header)
			get(t, c, s.URL)
			b := k.Get(strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://")))
			snapshot := b.Snapshot()
			if (snapshot.State == breaker.Open) != test.opens {
				t.Errorf("%d, Retry-After %q: %v", test.status, test.header, snapshot.State)
			}
			if d := snapshot.Until.Sub(snapshot.Since); test.opens && (d > test.most || d < test.most-3*time.Second) {
				t.Errorf("%d, Retry-After %q: open for %v, want about %v", test.status, test.header, d, test.most)
			}
		}
	})
}

// A host is one host, however it is written; two are two.
func TestTransportKeysByHost(t *testing.T) {
	k := newKeyed(t, breaker.KeyedConfig{})
	rt := breaker.Transport(k, roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	}))
	for _, url := range []string{"http://Example.com/a", "http://example.com:80/b", "http://EXAMPLE.COM?c"} {
		r, _ := http.NewRequest(http.MethodGet, url, nil)
		if resp, err := rt.RoundTrip(r); err != nil || resp.Request != r {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	if k.Len() != 1 {
		t.Errorf("%d breakers for one host", k.Len())
	}
	r, _ := http.NewRequest(http.MethodGet, "http://example.com:8080", nil)
	if rt.RoundTrip(r); k.Len() != 2 {
		t.Errorf("%d breakers, want another for the other port", k.Len())
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The caller's cancellation is not the host's failure, and a refused request's body is closed.
func TestTransportNeutralAndClosed(t *testing.T) {
	k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 1}})
	fail := errors.New("refused")
	cancelling := true
	ctx, cancel := context.WithCancel(context.Background())
	rt := breaker.Transport(k, roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		if cancelling {
			cancel()
			return nil, r.Context().Err()
		}
		return nil, fail
	}))
	body := &closeCounter{}
	post := func(ctx context.Context) error {
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://host/", body)
		resp, err := rt.RoundTrip(r)
		if resp != nil {
			t.Error("a response beside an error")
		}
		return err
	}
	if err := post(ctx); !errors.Is(err, context.Canceled) || k.Get("host:80").Snapshot().Ignored+k.Get("host").Snapshot().Ignored != 1 {
		t.Errorf("cancelled: %v", err)
	}
	if err := post(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	cancelling = false
	if err := post(context.Background()); err != fail {
		t.Errorf("got %v, want the error itself", err)
	}
	if err := post(context.Background()); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("got %v, want a refusal", err)
	}
	if body.closed != 4 {
		t.Errorf("%d of 4 bodies closed", body.closed)
	}
}

type closeCounter struct{ closed int }

func (c *closeCounter) Read([]byte) (int, error) { return 0, io.EOF }
func (c *closeCounter) Close() error             { c.closed++; return nil }

func TestTransportBadBase(t *testing.T) {
	k := newKeyed(t, breaker.KeyedConfig{})
	r, _ := http.NewRequest(http.MethodGet, "http://host/", nil)
	rt := breaker.Transport(k, roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }))
	if resp, err := rt.RoundTrip(r); resp != nil || err == nil {
		t.Errorf("nil, nil became %v, %v", resp, err)
	}
	rt = breaker.Transport(k, roundTripper(func(*http.Request) (*http.Response, error) { panic("boom") }))
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		rt.RoundTrip(r)
	}()
	if rt := breaker.Transport(nil, roundTripper(func(*http.Request) (*http.Response, error) { return nil, errBoom })); rt != nil {
		if _, err := rt.RoundTrip(r); err != errBoom {
			t.Errorf("nil Keyed: %v", err)
		}
	}
}
