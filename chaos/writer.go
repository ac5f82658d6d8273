package chaos

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// writer is a ResponseWriter with faults in its body. Like every ResponseWriter it is for one goroutine at a time.
type writer struct {
	inner  http.ResponseWriter
	req    *http.Request
	shape  *shape
	cancel context.CancelFunc // of the request's context

	began bool  // the final header was written
	fault error // it was cut
}

func (w *writer) Header() http.Header { return w.inner.Header() }

// Unwrap leads an http.ResponseController to what the server's writer can do.
func (w *writer) Unwrap() http.ResponseWriter { return w.inner }

func (w *writer) WriteHeader(status int) {
	if w.began || status < 200 && status != http.StatusSwitchingProtocols {
		w.inner.WriteHeader(status)
		return
	}
	w.began = true
	f := w.shape.replace
	if f == nil || !allowsBody(status) {
		w.shape.replace = nil
		w.inner.WriteHeader(status)
		return
	}
	h := w.Header()
	h.Set("Content-Length", strconv.Itoa(len(f.Body)))
	h.Del("Content-Encoding")
	h.Del("Trailer")
	w.inner.WriteHeader(status)
	if w.req.Method != http.MethodHead {
		_, _ = w.put([]byte(f.Body)) // a handler that is told of a fault hears it from its next Write
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.fault != nil:
		return 0, w.fault
	case w.shape.replace != nil:
		return len(p), nil
	}
	return w.put(p)
}

// WriteString is Write, for io.WriteString.
func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// put writes what goes through.
func (w *writer) put(p []byte) (written int, err error) {
	for len(p) > 0 {
		room := w.shape.room(len(p))
		if room <= 0 {
			return written, w.end()
		}
		some := p[:room]
		if !w.shape.harmless() {
			some = append([]byte(nil), some...)
		}
		takes := w.shape.pass(some)
		n, err := w.inner.Write(some)
		written += n
		if err != nil {
			return written, err
		}
		p = p[room:]
		if err := w.wait(takes); err != nil {
			return written, err
		}
	}
	return written, nil
}

// wait is how long bytes take, which are on their way before.
func (w *writer) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if err := http.NewResponseController(w.inner).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.shape.run.over.Done():
	case <-w.req.Context().Done():
		return context.Cause(w.req.Context())
	}
	return nil
}

// end is where it is cut. What was written before goes out first. It may be far from the handler's end: that of an event stream
// waits for its context.
func (w *writer) end() error {
	w.fault = w.shape.over(io.ErrUnexpectedEOF)
	reset := w.shape.cut.Kind == Reset
	if reset {
		w.fault = w.shape.over(errReset)
	}
	c := http.NewResponseController(w.inner)
	_ = c.Flush() // the client may have gone
	sever(c, reset)
	w.cancel()
	return w.fault
}

// Flush is for handlers that ask for an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() } // Flush has no way to say

// FlushError is what a ResponseController looks for first.
func (w *writer) FlushError() error {
	if w.fault != nil {
		return w.fault
	}
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.inner).Flush()
}

// finish is for a handler that has returned.
func (w *writer) finish() {
	if !w.began && w.shape.replace != nil {
		w.WriteHeader(http.StatusOK)
	}
	if w.fault != nil {
		panic(http.ErrAbortHandler) // or the server would end the body as if it were whole
	}
}
