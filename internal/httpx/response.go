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

	// For bodies that return neither bytes nor an error.
	drainReads = 1000

	// A page that is not here by then costs more than a new connection.
	drainTime = 50 * time.Millisecond
)

// drainLonger is added to drainTime by tests.
var drainLonger atomic.Int64

// DrainFor is for tests over real connections that count on a page being read to its end: on a machine that is busy even
// one that is there may take longer than drainTime to be read. It sets how long [Discard] and [Keep] read, until restore is
// called.
func DrainFor(d time.Duration) (restore func()) {
	before := drainLonger.Swap(int64(d - drainTime))
	return func() { drainLonger.Store(before) }
}

// Discard gets rid of a response that nobody will read. It closes the body; before
// that it reads what little is left of it, because an HTTP/1 connection is used
// again only after a body read to its end, and a new one costs a handshake exactly
// when the server can least afford it. The reading stops after a few KiB, after
// some tens of milliseconds, and when the request's context ends. A nil response
// is no work.
//
// How a Read that blocks is bounded in time: it happens in a goroutine, which
// Discard abandons by calling Close while the Read is under way. For the bodies
// of net/http's Transport that is safe and ends the Read: on HTTP/1 Close closes
// the connection, on HTTP/2 it breaks the stream's pipe (for the exception see
// worthDraining). For any other io.ReadCloser nothing says so. A Close that is not
// safe beside Read is a race here; one that waits for the Read, or itself reads to
// the end, as the body of [http.ReadResponse] does, is left to itself after the
// same time; a Read that outlives its Close keeps its goroutine until it returns,
// to read nothing more. All three are rarer and less harmful than a caller hung for
// good, and none happens if Read returns in time, or obeys a context that ends.
func Discard(resp *http.Response) {
	if resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return
	}
	ended := false
	defer func() {
		if ended {
			_ = resp.Body.Close() // nobody wants to know
			return
		}
		within(context.Background(), func() bool { return resp.Body.Close() == nil })
	}()
	if ctx := contextOf(resp); ctx.Err() == nil && worthDraining(resp) {
		var stop atomic.Bool
		defer stop.Store(true) // should the Read outlive Close, it was the last one
		ended = within(ctx, func() bool { return skim(resp.Body, &stop) })
	}
}

func contextOf(resp *http.Response) context.Context {
	if resp.Request == nil {
		return context.Background()
	}
	return resp.Request.Context()
}

// worthDraining reports whether reading on may save something, and is safe.
//
// HTTP/2 loses no connection with a body closed early, but Close then sends a
// RST_STREAM and a PING, and a server that sees many of them takes the client for
// a rapid-reset attack (CVE-2023-44487). So a short body is read there too, if the
// server said that it is short: its end is then as good as here.
func worthDraining(resp *http.Response) bool {
	switch {
	case resp.ContentLength > drainBytes:
		return false
	case resp.Uncompressed:
		// A first Read that waits for the gzip header holds the lock that Close needs
		// (gzipReader.acquire, Go 1.26): a silent server would keep both, and the
		// connection, for as long as the context lives. The connection of a gzipped
		// error page, which is rare, is the lesser loss; and a bomb costs nothing.
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

// within runs f in a goroutine and waits for its result, though no longer than the
// bound and ctx allow: then f may still be running, and the result is false. A panic
// of f reaches the caller, unless the caller has gone; it must not end the process.
func within(ctx context.Context, f func() bool) bool {
	type outcome struct {
		ok       bool
		panicked any
	}
	done := make(chan outcome, 1) // room for the one that comes late
	go func() {
		var o outcome
		defer func() {
			o.panicked = recover()
			done <- o
		}()
		o.ok = f()
	}()
	timer := time.NewTimer(drainTime + time.Duration(drainLonger.Load()))
	defer timer.Stop()
	select {
	case o := <-done:
		if o.panicked != nil {
			panic(o.panicked)
		}
		return o.ok
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// skim reads to the end, which it reports, or to just beyond the bound. A body of
// exactly drainBytes needs the one Read more that says io.EOF.
func skim(body io.Reader, stop *atomic.Bool) (ended bool) {
	buf := make([]byte, 1<<10)
	total := 0
	for range drainReads {
		n, err := body.Read(buf)
		total += n
		if err != nil || total > drainBytes || stop.Load() {
			return err == io.EOF
		}
	}
	return false
}
