package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// What the server can do it can do by construction, and it is little enough for two cores that have other work to send
// and to answer three times as much.
const (
	workers  = 4
	work     = 10 * time.Millisecond // for one request
	capacity = workers * int(time.Second/work)
)

// server is an HTTP server on loopback with a few workers. Requests wait for one, without bound and in the order in
// which they came; and it works on each whether or not its caller is still there, as servers do that do not look.
type server struct {
	workers chan struct{} // holds a token for each worker that is busy
	worked  atomic.Int64  // requests that got a worker
	waiting atomic.Int64  // requests that wait for one

	addr    string
	http    *http.Server
	stopped chan struct{} // closed: requests that wait give up
	ended   chan error    // gets one value: how Serve ended
}

// guard is what stands before a server's own handler.
type guard func(mux http.Handler) (http.Handler, error)

// unguarded takes in all that comes.
func unguarded(mux http.Handler) (http.Handler, error) { return mux, nil }

// startServer returns once it listens. Requests reach its workers through g.
func startServer(g guard) (*server, error) {
	s := &server{
		workers: make(chan struct{}, workers),
		stopped: make(chan struct{}),
		ended:   make(chan error, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.serve)
	handler, err := g(mux)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = listener.Addr().String()
	s.http = &http.Server{Handler: handler}
	go func() { s.ended <- s.http.Serve(listener) }()
	return s, nil
}

func (s *server) url() string { return "http://" + s.addr + "/" }

// serve waits for a worker, works and answers.
func (s *server) serve(w http.ResponseWriter, _ *http.Request) {
	s.waiting.Add(1)
	select { // those that block on a channel go on in the order in which they came
	case s.workers <- struct{}{}:
		s.waiting.Add(-1)
	case <-s.stopped:
		s.waiting.Add(-1)
		panic(http.ErrAbortHandler)
	}
	defer func() { <-s.workers }()
	s.worked.Add(1)
	time.Sleep(work)
	w.Write(answer)
}

// end stops the server: who waits for a worker gives up, and what the workers have in hand is done.
func (s *server) end() error {
	close(s.stopped)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close() // a connection that never sent anything would have to be waited for longer
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
