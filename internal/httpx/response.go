package httpx

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// Enough for the error pages that servers send, and little beside a handshake.
	// net/http's Client reads 2 KiB before it follows a redirect.
	drainBytes = 8 << 10

	// A page that is not here by then costs more than a new connection.
	drainTime = 50 * time.Millisecond

	// For bodies that return neither bytes nor an error.
	drainReads = 1000
)

// Discard gets rid of a response that nobody will read. It closes the body; before
// that it reads what little is left of it, because an HTTP/1 connection is used
// again only after a body read to its end, and a new one costs a handshake exactly
// when the server can least afford it. The reading stops after a few KiB (as
// read, that is unzipped: a gzip bomb costs no more), after some tens of
// milliseconds, and when the request's context ends. A nil response is no work.
//
// How a Read that blocks is bounded in time: it happens in a goroutine, which
// Discard abandons by calling Close while the Read is under way. For the bodies
// of net/http that is allowed and ends the Read: on HTTP/1 Close closes the
// connection, on HTTP/2 it breaks the stream's pipe, and both gunzipping
// readers guard for it. For any other io.ReadCloser nothing says so. One whose
// Close is not safe beside Read has a race here, one whose Read outlives Close
// keeps the goroutine until it returns (to read nothing more). Both are rarer and
// less harmful than a caller hung for good, which is what waiting for the Read
// would mean; and neither happens if the Read returns in time, or if it obeys the
// context and the caller has ended that.
func Discard(resp *http.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	if ctx := contextOf(resp); ctx.Err() == nil && worthDraining(resp) {
		drain(ctx, resp.Body)
	}
	_ = resp.Body.Close() // nobody wants to know
}

func contextOf(resp *http.Response) context.Context {
	if resp.Request == nil {
		return context.Background()
	}
	return resp.Request.Context()
}

// worthDraining reports whether reading on may save something.
//
// HTTP/2 loses no connection with a body closed early, but Close then sends a
// RST_STREAM and a PING, and a server that sees many of them takes the client for
// a rapid-reset attack (CVE-2023-44487). So a short body is read there too, if the
// server said that it is short: its end is then as good as here.
func worthDraining(resp *http.Response) bool {
	switch {
	case resp.Body == http.NoBody, resp.ContentLength > drainBytes:
		return false
	case resp.ProtoMajor >= 2:
		return resp.ContentLength >= 0
	case resp.Close, resp.StatusCode == http.StatusSwitchingProtocols:
		return false // the connection is lost in any case, or not HTTP's any more
	case resp.Request != nil && resp.Request.Method == http.MethodConnect:
		return false // a tunnel
	}
	return true
}

// drain returns when the body is read, or the bound is reached; in the second
// case a Read may still be under way.
func drain(ctx context.Context, body io.Reader) {
	var (
		stop     atomic.Bool
		panicked any
		done     = make(chan struct{})
	)
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		skim(body, &stop)
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-done:
		// A body's panic belongs to the caller. Here it would end the process. If the
		// caller has gone, it is dropped with the body.
		if panicked != nil {
			panic(panicked)
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	stop.Store(true) // should the Read outlive Close, it was the last one
}

// skim reads to the end or beyond the bound. A body of exactly drainBytes
// needs the one Read more that says io.EOF.
func skim(body io.Reader, stop *atomic.Bool) {
	buf := make([]byte, 1<<10)
	total := 0
	for range drainReads {
		n, err := body.Read(buf)
		total += n
		if err != nil || total > drainBytes || stop.Load() {
			return
		}
	}
}
