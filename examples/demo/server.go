package main

import (
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

	*site
	stopped chan struct{} // closed: requests that wait give up
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
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.serve)
	handler, err := g(mux)
	if err != nil {
		return nil, err
	}
	s.site, err = openSite(handler)
	return s, err
}

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
	return s.site.end()
}
