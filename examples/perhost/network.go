package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// network is some servers on loopback that are reached under names of their own.
type network struct{ servers map[string]*server }

type server struct {
	*httptest.Server
	down     atomic.Bool
	requests atomic.Int64
}

func startNetwork(names ...string) *network {
	n := &network{make(map[string]*server)}
	for _, name := range names {
		s := &server{}
		s.Server = httptest.NewServer(s)
		n.servers[name] = s
	}
	return n
}

func (s *server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.requests.Add(1)
	if s.down.Load() {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// transport finds the servers by their names, as DNS would.
func (n *network) transport() http.RoundTripper {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			name, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			s, ok := n.servers[name]
			if !ok {
				return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
}

func (n *network) close() {
	for _, s := range n.servers {
		s.Close()
	}
}
