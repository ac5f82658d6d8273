package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// mode is how the server fails.
type mode int32

const (
	well     mode = iota
	busyOnce      // the next answer is 503
	hangOnce      // the next answer never comes
	down          // every answer is 503
)

// backend is a server of prices on loopback.
type backend struct {
	*httptest.Server
	mode     atomic.Int32
	requests atomic.Int64
}

func startBackend() *backend {
	b := &backend{}
	b.Server = httptest.NewServer(b)
	return b
}

func (b *backend) behave(m mode) { b.mode.Store(int32(m)) }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.requests.Add(1)
	switch {
	case b.mode.CompareAndSwap(int32(busyOnce), int32(well)), b.mode.Load() == int32(down):
		w.WriteHeader(http.StatusServiceUnavailable)
	case b.mode.CompareAndSwap(int32(hangOnce), int32(well)):
		<-r.Context().Done() // until the client goes
	default:
		io.WriteString(w, "4.50")
	}
}
