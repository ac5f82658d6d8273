package httpx

import (
	"io"
	"net/http"
	"sync/atomic"
)

// OnClose calls e.End exactly once when nobody will read from the response any
// more: when its body is closed, read to its end, or fails, whichever is first. It
// is where an attempt's context is cancelled and a permit given back. If there is
// no body, it is called before OnClose returns, and http.NoBody stays itself.
//
// It replaces resp.Body and nothing else: resp stays the one value, whose
// trailers net/http fills in. What the body could do beside Read and Close it can
// still do: io.WriterTo, and of a connection (101 Switching Protocols) io.Writer
// and CloseWrite. The end of what a connection reads is not the end of it, as the
// other direction may go on: there only Close counts.
//
// End runs in the goroutine that reads or closes, after the inner Read or
// Close has returned; a Read or Close beside that one does not wait for it. A
// caller that forgets to close never has it called. A small e costs no allocation
// of its own: it is kept beside the body.
func OnClose[E Ender](resp *http.Response, e E) {
	if resp.Body == nil || resp.Body == http.NoBody {
		e.End()
		return
	}
	resp.Body = watch(resp.Body, e)
}

// Ender has something to do at the end of a body.
type Ender interface{ End() }

type closeWriter interface{ CloseWrite() error }

// watch chooses the type that has the methods of body. Those of net/http have two.
func watch[E Ender](body io.ReadCloser, e E) io.ReadCloser {
	to, isTo := body.(io.WriterTo)
	w, isConn := body.(io.Writer)
	switch {
	case isConn:
		return watchConn(&watchedConn{watched[Ender]{body: body, at: e}, w}, to)
	case isTo:
		return &watchedBodyTo{watchedBody[Ender]{watched[Ender]{body: body, at: e}}, to}
	}
	return &watchedBody[E]{watched[E]{body: body, at: e}}
}

func watchConn(c *watchedConn, to io.WriterTo) io.ReadCloser {
	half, isHalf := c.body.(closeWriter)
	switch {
	case isHalf && to != nil:
		return struct {
			*watchedConn
			closeWriter
			io.WriterTo
		}{c, half, to}
	case isHalf:
		return struct {
			*watchedConn
			closeWriter
		}{c, half}
	case to != nil:
		return struct {
			*watchedConn
			io.WriterTo
		}{c, to}
	}
	return c
}

// watched is what all of them share. Close and Read may come from two goroutines, and so may two Closes.
type watched[E Ender] struct {
	body io.ReadCloser
	over atomic.Bool
	at   E
}

func (w *watched[E]) end() {
	if !w.over.Load() && !w.over.Swap(true) { // most come twice: at the end, and to close
		w.at.End()
	}
}

// Close may be called as often as the inner body's.
func (w *watched[E]) Close() error {
	defer w.end() // should the inner Close panic, too
	return w.body.Close()
}

type watchedBody[E Ender] struct{ watched[E] }

func (b *watchedBody[E]) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

type watchedBodyTo struct {
	watchedBody[Ender]
	to io.WriterTo
}

// WriteTo without an error has reached the end. An error may be dst's, with more
// of the body to come: that is left to Close.
func (b *watchedBodyTo) WriteTo(dst io.Writer) (int64, error) {
	n, err := b.to.WriteTo(dst)
	if err == nil {
		b.end()
	}
	return n, err
}

type watchedConn struct {
	watched[Ender]
	io.Writer
}

func (c *watchedConn) Read(p []byte) (int, error) { return c.body.Read(p) }
