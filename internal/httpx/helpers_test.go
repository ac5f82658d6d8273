package httpx_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// protocols runs a test over HTTP/1.1 and over HTTP/2.
func protocols(t *testing.T, test func(t *testing.T, h2 bool)) {
	t.Helper()
	t.Run("h1", func(t *testing.T) { test(t, false) })
	t.Run("h2", func(t *testing.T) { test(t, true) })
}

// server is a real server over loopback that counts its connections.
type server struct {
	*httptest.Server
	conns atomic.Int64
}

func serve(t *testing.T, h2 bool, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	want := 1
	if h2 {
		want = 2
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != want {
			t.Errorf("the server speaks %s, want HTTP/%d", r.Proto, want)
		}
		h(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// send is one round trip; the test fails if it does.
func (s *server) send(t *testing.T, req *http.Request) *http.Response {
	t.Helper()
	resp, err := s.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func (s *server) get(t *testing.T) *http.Response {
	t.Helper()
	return s.send(t, request(t, http.MethodGet, s.URL))
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// transport is a http.RoundTripper made of a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

var quiet = log.New(io.Discard, "", 0)
