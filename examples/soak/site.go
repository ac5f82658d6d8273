package main

import (
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/chaos"
)

// backendsOfSite is how many targets a failover has.
const backendsOfSite = 3

// site is where combinations are run one after the other: some backends on loopback, which stay, with handlers and faults of
// the combination of the moment.
type site struct {
	urls    []*url.URL
	servers []*http.Server
	ports   []net.Listener
	world   atomic.Pointer[world] // nil: none

	connections ledger
	strange     atomic.Pointer[string] // what a server has said of a panic that nobody injected
}

func openSite() (*site, error) {
	s := &site{}
	for i := range backendsOfSite {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, err
		}
		s.urls = append(s.urls, &url.URL{Scheme: "http", Host: listener.Addr().String()})
		server := &http.Server{Handler: s.backend(i), ConnState: s.connection, ErrorLog: log.New(s, "", 0), Protocols: protocols(true)}
		server.Protocols.SetHTTP1(true)
		s.servers, s.ports = append(s.servers, server), append(s.ports, listener)
		go server.Serve(&faultyListener{listener, s})
	}
	return s, nil
}

func (s *site) close() {
	for i, server := range s.servers {
		_ = s.ports[i].Close() // the server may not have it yet
		_ = server.Close()     // it is only in the way now
	}
}

// protocols are HTTP/2 without TLS, or HTTP/1.1.
func protocols(two bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!two)
	p.SetUnencryptedHTTP2(two)
	return p
}

// backend has the handler of the moment.
func (s *site) backend(i int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if of := s.world.Load(); of != nil {
			of.backends[i].ServeHTTP(w, r)
			return
		}
		http.Error(w, "nobody should call now", http.StatusTeapot)
	})
}

// connection is told by the servers.
func (s *site) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.opened.Add(1)
	case http.StateClosed, http.StateHijacked: // chaos hijacks what it cuts
		s.connections.closed.Add(1)
	}
}

// Write is told what servers log: above all, panics.
func (s *site) Write(line []byte) (int, error) {
	if text := string(line); strings.Contains(text, "panic") && !strings.Contains(text, injectedText) {
		s.strange.Store(&text)
	}
	return len(line), nil
}

// faultyListener puts the faults of the moment into the connections.
type faultyListener struct {
	net.Listener
	site *site
}

func (l *faultyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if of := l.site.world.Load(); of != nil {
		c = chaos.Conn(of.chaos[network], c)
	}
	return c, nil
}
