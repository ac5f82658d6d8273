package contract

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// server is a real HTTP server on loopback, and a client's transport to it. Nothing here looks at the clock: what has
// to be in order is put in order by channels and by the protocol.
type server struct {
	*httptest.Server
	transport *http.Transport
	url       string
	handler   atomic.Value // http.HandlerFunc
	dialed    atomic.Int64 // connections
	open      atomic.Int64 // bodies, of requests and responses, that were opened and not closed
	onDrop    atomic.Value // func(), called when a response's body is closed
}

// overHTTP runs a row over HTTP/1.1 and HTTP/2, in the doors that are HTTP's.
func overHTTP(check func(*testing.T, *Cell, *server)) func(*testing.T, *Cell) {
	return func(t *testing.T, c *Cell) {
		if !c.Fresh(t, Setup{}).Door.HTTP {
			t.Skip("not an HTTP door")
		}
		for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
			if c.Policy.Version != "" && c.Policy.Version != version {
				continue
			}
			t.Run(version, func(t *testing.T) { check(t, c, newServer(t, version == "HTTP/2")) })
		}
	}
}

func newServer(t *testing.T, two bool) *server {
	s := new(server)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handler.Load().(http.HandlerFunc)(w, r)
	}))
	s.EnableHTTP2 = two
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.dialed.Add(1)
		}
	}
	if two {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections() // Close waits for handlers, and a body that was left open would keep one
		s.Close()
	})
	// All requests are to one host, whatever the port: a policy keyed by host is told of it beforehand.
	s.transport = s.Client().Transport.(*http.Transport)
	s.url = strings.Split(s.URL, ":")[0] + "://" + Host + "/"
	s.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	if two {
		s.transport.TLSClientConfig.ServerName = "example.com" // that of httptest's certificate
	}
	return s
}

// handle sets what the server does with requests from now on.
func (s *server) handle(f http.HandlerFunc) { s.handler.Store(f) }

// RoundTrip is the transport under the policies: net/http's, and a count of the bodies.
func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.transport.RoundTrip(req)
	if err == nil {
		onDrop, _ := s.onDrop.Load().(func())
		resp.Body = &watchedBody{counted(resp.Body, &s.open), onDrop}
	}
	return resp, err
}

type watchedBody struct {
	io.ReadCloser
	onClose func()
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.onClose != nil {
		b.onClose()
	}
	return err
}

// request is one with a body that can be sent again; each of them is counted until it is closed.
func (s *server) request(ctx context.Context, t *testing.T) *http.Request {
	t.Helper()
	const text = "a body that can be sent again"
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.GetBody = func() (io.ReadCloser, error) { return counted(io.NopCloser(strings.NewReader(text)), &s.open), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(text))
	return req
}

// send makes one call through the policy, and counts it.
func (s *Subject) send(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	s.calls.Add(1)
	return rt.RoundTrip(req)
}

// closed checks that no body is open. A body of a request may be closed by net/http a moment after the answer.
func (s *server) closed(t *testing.T, when string) {
	t.Helper()
	if !eventually(2000, func() bool { return s.open.Load() == 0 }) {
		t.Fatalf("%s: %d bodies were opened and not closed", when, s.open.Load())
	}
}

// answer sends a status and a short body, having read the request's.
func answer(w http.ResponseWriter, r *http.Request, status int, text string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
