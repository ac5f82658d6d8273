package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// ledger counts what has to be closed.
type ledger struct{ opened, closed atomic.Int64 }

func (l *ledger) open() int64 { return l.opened.Load() - l.closed.Load() }

// entry is one thing in a ledger. It may be closed more than once.
type entry struct {
	in   *ledger
	done atomic.Bool
}

func (l *ledger) enter() *entry {
	l.opened.Add(1)
	return &entry{in: l}
}

func (e *entry) close() {
	if e.done.CompareAndSwap(false, true) {
		e.in.closed.Add(1)
	}
}

// bodies is a transport that enters the bodies of its responses.
type bodies struct {
	*ledger
	next http.RoundTripper
}

func (b *bodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if resp != nil && resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = &body{resp.Body, b.enter()}
	}
	return resp, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (b *bodies) CloseIdleConnections() { closeIdle(b.next) }

// Faithful is that of a tapped transport.
func (b *bodies) Faithful() bool { return true }

type body struct {
	io.ReadCloser
	*entry
}

func (b *body) Close() error {
	b.close()
	return b.ReadCloser.Close()
}

// dialer makes connections, and enters them from when it begins: net/http lets a connection be made to the end though the
// request that wanted it has gone.
type dialer struct {
	*ledger
	net.Dialer
}

func (d *dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	e := d.enter()
	c, err := d.Dialer.DialContext(ctx, network, addr)
	if err != nil {
		e.close()
		return nil, err
	}
	return &conn{c, e}, nil
}

type conn struct {
	net.Conn
	*entry
}

func (c *conn) Close() error {
	c.close()
	return c.Conn.Close()
}
