package httpx

import (
	"io"
	"net/http"
	"sync"
)

// OnClose calls done exactly once when nobody will read from the response any
// more: when its body is closed, read to its end, or fails, whichever is first. It
// is where an attempt's context is cancelled and a permit given back. If there is
// no body, done is called before OnClose returns, and http.NoBody stays itself.
//
// It replaces resp.Body and nothing else: resp stays the one value, whose
// trailers net/http fills in. What the body could do beside Read and Close it can
// still do: io.WriterTo, and of a connection (101 Switching Protocols) io.Writer
// and CloseWrite. The end of what a connection reads is not the end of it, as the
// other direction may go on: there only Close counts.
//
// done runs in the goroutine that reads or closes, after the inner Read or
// Close has returned. A caller that forgets to close never has it called.
func OnClose(resp *http.Response, done func()) { EndOnClose(resp, endFunc(done)) }

// EndOnClose is OnClose for what has a method to be called: it makes no function of it.
func EndOnClose(resp *http.Response, e Ender) {
	if resp.Body == nil || resp.Body == http.NoBody {
		e.End()
		return
	}
	resp.Body = watch(resp.Body, e)
}

// Ender has something to do at the end of a body.
type Ender interface{ End() }

type endFunc func()

func (f endFunc) End() { f() }

type closeWriter interface{ CloseWrite() error }

// watch chooses the type that has the methods of body.
func watch(body io.ReadCloser, e Ender) io.ReadCloser {
	to, isTo := body.(io.WriterTo)
	w, isConn := body.(io.Writer)
	if !isConn {
		b := &watchedBody{watched{body: body, at: e}}
		if isTo {
			return &watchedBodyTo{b, to}
		}
		return b
	}
	c := &watchedConn{watched{body: body, at: e}, w}
	half, isHalf := body.(closeWriter)
	switch {
	case isHalf && isTo:
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
	case isTo:
		return struct {
			*watchedConn
			io.WriterTo
		}{c, to}
	}
	return c
}

// watched is what all of them share. Close and Read may come from two goroutines,
// and so may two Closes: the Once makes it one call of End.
type watched struct {
	body io.ReadCloser
	once sync.Once
	at   Ender
}

func (w *watched) end() {
	w.once.Do(w.at.End)
}

// Close may be called as often as the inner body's.
func (w *watched) Close() error {
	defer w.end() // should the inner Close panic, too
	return w.body.Close()
}

type watchedBody struct{ watched }

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

type watchedBodyTo struct {
	*watchedBody
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
	watched
	io.Writer
}

func (c *watchedConn) Read(p []byte) (int, error) { return c.body.Read(p) }
