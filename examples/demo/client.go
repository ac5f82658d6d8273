package main

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// newTransport is what both clients send through: net/http's own, with a pool large enough for the load.
func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: 30 * time.Second}
}

// bodies counts the response bodies that are open: at the end it has to be none.
type bodies struct {
	http.RoundTripper
	open atomic.Int64
}

func (b *bodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		b.open.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, open: &b.open}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	open   *atomic.Int64
	closed atomic.Bool
}

func (b *countedBody) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		b.open.Add(-1)
	}
	return b.ReadCloser.Close()
}
