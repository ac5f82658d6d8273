package httpx

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// OnWriteHeader returns w with a hook: before is called once, just before the
// first final header is written, with its status and the header that will be
// sent, which it may change. WriteHeader, Write, ReadFrom and Flush count, the last
// three as 200. Informational statuses do not, except 101, which is final. A
// handler that returns without having written anything does not lead to a call (the
// server then writes a 200 of its own), nor does one that hijacks the connection.
//
// The result can do what w can: it is an http.Flusher, Hijacker, Pusher,
// CloseNotifier or io.ReaderFrom exactly if w is one, and Unwrap leads an
// [http.ResponseController] to the rest. It always has WriteString and FlushError,
// which where w has none do what [io.WriteString] and ResponseController.Flush do
// without them.
//
// One thing it cannot be: [http.MaxBytesReader] asks its writer for an unexported
// method of net/http's own, without unwrapping, to have the connection closed when
// the limit is exceeded. Given the result of OnWriteHeader it limits the body just
// the same, but the server then reads up to 256 KiB more of it before it answers,
// and closes only if that was not all. Where that matters, put
// http.MaxBytesHandler outside, or give MaxBytesReader the unwrapped writer.
func OnWriteHeader(w http.ResponseWriter, before func(status int, h http.Header)) http.ResponseWriter {
	return shape(&writer{inner: w, before: before})
}

// writer is the part that every shape has. Like every ResponseWriter it is for one
// goroutine at a time.
type writer struct {
	inner   http.ResponseWriter
	before  func(status int, h http.Header)
	settled bool // before was called, or never will be
}

func (w *writer) settle(status int) {
	if w.settled || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.settled = true // first: should before panic, or write, it is not called again
	w.before(status, w.inner.Header())
}

func (w *writer) Header() http.Header { return w.inner.Header() }

func (w *writer) Unwrap() http.ResponseWriter { return w.inner }

func (w *writer) WriteHeader(status int) {
	w.settle(status)
	w.inner.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.settle(http.StatusOK)
	return w.inner.Write(p)
}

func (w *writer) WriteString(s string) (int, error) {
	w.settle(http.StatusOK)
	return io.WriteString(w.inner, s)
}

// FlushError is what a ResponseController looks for first. It must be here even if
// w itself cannot flush: the controller would unwrap, find what w wraps, and write
// the header behind the hook's back.
func (w *writer) FlushError() error {
	if !canFlush(w.inner) {
		return http.ErrNotSupported
	}
	w.settle(http.StatusOK)
	return http.NewResponseController(w.inner).Flush()
}

func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

type flusher struct{ w *writer }

func (f flusher) Flush() { _ = f.w.FlushError() } // Flush has no way to say

type hijacker struct {
	w     *writer
	inner http.Hijacker
}

// Hijack takes the connection from HTTP: what is written after it is no response.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.inner.Hijack()
	if err == nil {
		h.w.settled = true
	}
	return conn, rw, err
}

type readerFrom struct {
	w     *writer
	inner io.ReaderFrom
}

// ReadFrom keeps sendfile for what io.Copy sends. The header is written with the
// first byte and not before: src may fail at once, and the handler then answers
// with another status. So the first bytes go through Write.
func (r readerFrom) ReadFrom(src io.Reader) (int64, error) {
	var n int64
	if !r.w.settled {
		var err error
		n, err = io.CopyN(struct{ io.Writer }{r.w}, src, sniffLen)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	m, err := r.inner.ReadFrom(src)
	return n + m, err
}

// As much as net/http's own ReadFrom copies by hand, to sniff the content type.
const sniffLen = 512
