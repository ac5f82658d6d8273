package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// site is an HTTP server on loopback.
type site struct {
	addr   string
	server *http.Server
	ended  chan error // gets one value: how Serve ended
}

// openSite returns once it listens.
func openSite(handler http.Handler) (*site, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &site{listener.Addr().String(), &http.Server{Handler: handler}, make(chan error, 1)}
	go func() { s.ended <- s.server.Serve(listener) }()
	return s, nil
}

func (s *site) url() string { return "http://" + s.addr + "/" }

// end stops the site, when what it has in hand is done.
func (s *site) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		s.server.Close() // a connection that never sent anything would have to be waited for longer
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
