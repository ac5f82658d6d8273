package chaos

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Handler returns next with faults before it, in its place, and in what it writes. A nil in lets all requests pass, as one that is
// off does: next then gets the very ResponseWriter of the server.
//
// A Failure is answered with 500. A Latency or a BlackHole whose context ends, a Reset and a Truncate cut the connection (on
// HTTP/2 the stream), and end the request's context if the handler is at work. A BlackHole swallows the request's body, without
// which net/http does not notice that the client has gone; a request with one is cut too when chaos is switched off.
//
// Faults of the body give next a writer that can flush, and what http.ResponseController finds; they leave alone requests of
// method HEAD, and those that ask for another protocol.
func Handler(in *Injector, next http.Handler) http.Handler {
	if next == nil {
		panic("chaos.Handler: next is nil")
	}
	if in == nil {
		return next
	}
	return &handler{in, next}
}

type handler struct {
	in   *Injector
	next http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	run := h.in.running()
	if run == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	c := newCall(r.Context(), h.in, run, r)
	if f, err := c.strikeServed(w, r); err != nil {
		c.answer(w, r, f, err)
		return
	}
	if c.shape == nil && (h.in.cfg.Secret == "" || !c.meant) {
		h.next.ServeHTTP(w, r)
		return
	}
	c.serve(h.next, w, r)
}

// strikeServed is strike for a Handler.
func (c *call) strikeServed(w http.ResponseWriter, r *http.Request) (*Fault, error) {
	c.swallow = func() bool { return swallow(w, r, c.run) }
	if r.Method == http.MethodHead || httpx.IsUpgrade(r) {
		return c.strike(unembodied)
	}
	return c.strike(always)
}

// serve calls next under a context of its own, or with a writer of its own.
func (c *call) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if c.in.cfg.Secret != "" {
		ctx = WithSecret(ctx, c.in.cfg.Secret)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	under := r.WithContext(ctx)
	if c.in.isSecret(r.Header.Get(Header)) {
		under.Header = r.Header.Clone()
		under.Header.Del(Header)
	}
	defer func() { // who is outside may look at the pattern, and net/http removes the files of the form
		r.Pattern, r.MultipartForm = under.Pattern, under.MultipartForm
	}()
	if c.shape == nil {
		next.ServeHTTP(w, under)
		return
	}
	sw := &writer{inner: w, req: under, shape: c.shape, cancel: cancel}
	next.ServeHTTP(sw, under)
	sw.finish()
}

// answer is for a request that a fault has ended.
func (c *call) answer(w http.ResponseWriter, r *http.Request, f *Fault, err error) {
	switch f.Kind {
	case Status:
		resp, _ := c.instead(f, err)
		defer resp.Body.Close()
		for key, lines := range resp.Header {
			w.Header()[key] = lines
		}
		w.WriteHeader(f.Status)
		if r.Method != http.MethodHead {
			_, _ = io.Copy(w, resp.Body) // the client may have gone
		}
	case Failure:
		d := c.diceOf(f)
		f.putRetryAfter(w.Header(), &d)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	case Reset:
		cut(w, true)
	default: // its context has ended: there is nobody, or nobody who should get an answer
		cut(w, false)
	}
}

// cut ends the exchange, with a reset if there is such a thing: the connection of HTTP/1, the stream of HTTP/2, which has only
// that. Who is outside sees a handler that aborts.
func cut(w http.ResponseWriter, reset bool) {
	sever(http.NewResponseController(w), reset)
	panic(http.ErrAbortHandler)
}

// sever ends the connection, or the stream, at once.
func sever(c *http.ResponseController, reset bool) {
	conn, _, err := c.Hijack()
	if err != nil {
		_ = c.SetWriteDeadline(time.Unix(1, 0)) // on HTTP/2 that resets the stream
		return
	}
	if reset {
		resetConn(conn)
	} else {
		drain(conn)
	}
	_ = conn.Close() // there is nobody to tell
}

// drain reads what a client may still be sending until it has seen the end: a connection that is closed before has what was
// written thrown away, and is reset.
func drain(c net.Conn) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(longestDrain)) // without one there is nothing to read either
	_, _ = io.Copy(io.Discard, c)
}

const longestDrain = 5 * time.Second // for who does not close

// swallow reads the request's body until it ends, or nobody waits for it any longer; it reports whether there was one. On
// HTTP/1 net/http looks whether the client is still there only when the body was read.
func swallow(w http.ResponseWriter, r *http.Request, run *run) bool {
	if r.Body == nil || r.ContentLength == 0 { // to a server that is none: unknown is -1
		return false
	}
	run.held.Add(1)
	defer run.held.Add(-1)
	c := http.NewResponseController(w)
	stop := func() { _ = c.SetReadDeadline(time.Unix(1, 0)) }
	defer whenDone(r.Context(), stop)()
	defer whenDone(run.over, stop)()
	_, _ = io.Copy(io.Discard, r.Body) // how it ends does not matter
	return true
}

// whenDone calls f when ctx ends, unless the result was called before; when that returns f is not running.
func whenDone(ctx context.Context, f func()) (wait func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}
