package httpx

import (
	"io"
	"net/http"
)

// Handlers ask with a type assertion what their writer can do, so the answer must
// be in the type: there is one for each combination. net/http's HTTP/1 writer is
// all but a Pusher, the HTTP/2 one all but a Hijacker and a ReaderFrom, a recorder
// only a Flusher.
const (
	flushes = 1 << iota
	hijacks
	pushes
	reads
	notifies
)

// http.CloseNotifier is deprecated, but routers still assert it.
type closeNotifier interface{ CloseNotify() <-chan bool }

// shape gives w the methods that its inner writer has. Pushing and notifying write
// no header: for these the inner writer's own methods are lent.
func shape(w *writer) http.ResponseWriter {
	_, isF := w.inner.(http.Flusher)
	ih, isH := w.inner.(http.Hijacker)
	p, isP := w.inner.(http.Pusher)
	ir, isR := w.inner.(io.ReaderFrom)
	c, isC := w.inner.(closeNotifier)
	f, h, r := flusher{w}, hijacker{w, ih}, readerFrom{w, ir}

	switch bit(isF, flushes) | bit(isH, hijacks) | bit(isP, pushes) | bit(isR, reads) | bit(isC, notifies) {
	case flushes:
		return struct {
			*writer
			http.Flusher
		}{w, f}
	case hijacks:
		return struct {
			*writer
			http.Hijacker
		}{w, h}
	case flushes | hijacks:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
		}{w, f, h}
	case pushes:
		return struct {
			*writer
			http.Pusher
		}{w, p}
	case flushes | pushes:
		return struct {
			*writer
			http.Flusher
			http.Pusher
		}{w, f, p}
	case hijacks | pushes:
		return struct {
			*writer
			http.Hijacker
			http.Pusher
		}{w, h, p}
	case flushes | hijacks | pushes:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			http.Pusher
		}{w, f, h, p}
	case reads:
		return struct {
			*writer
			io.ReaderFrom
		}{w, r}
	case flushes | reads:
		return struct {
			*writer
			http.Flusher
			io.ReaderFrom
		}{w, f, r}
	case hijacks | reads:
		return struct {
			*writer
			http.Hijacker
			io.ReaderFrom
		}{w, h, r}
	case flushes | hijacks | reads:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			io.ReaderFrom
		}{w, f, h, r}
	case pushes | reads:
		return struct {
			*writer
			http.Pusher
			io.ReaderFrom
		}{w, p, r}
	case flushes | pushes | reads:
		return struct {
			*writer
			http.Flusher
			http.Pusher
			io.ReaderFrom
		}{w, f, p, r}
	case hijacks | pushes | reads:
		return struct {
			*writer
			http.Hijacker
			http.Pusher
			io.ReaderFrom
		}{w, h, p, r}
	case flushes | hijacks | pushes | reads:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			http.Pusher
			io.ReaderFrom
		}{w, f, h, p, r}
	case notifies:
		return struct {
			*writer
			closeNotifier
		}{w, c}
	case flushes | notifies:
		return struct {
			*writer
			http.Flusher
			closeNotifier
		}{w, f, c}
	case hijacks | notifies:
		return struct {
			*writer
			http.Hijacker
			closeNotifier
		}{w, h, c}
	case flushes | hijacks | notifies:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			closeNotifier
		}{w, f, h, c}
	case pushes | notifies:
		return struct {
			*writer
			http.Pusher
			closeNotifier
		}{w, p, c}
	case flushes | pushes | notifies:
		return struct {
			*writer
			http.Flusher
			http.Pusher
			closeNotifier
		}{w, f, p, c}
	case hijacks | pushes | notifies:
		return struct {
			*writer
			http.Hijacker
			http.Pusher
			closeNotifier
		}{w, h, p, c}
	case flushes | hijacks | pushes | notifies:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			http.Pusher
			closeNotifier
		}{w, f, h, p, c}
	case reads | notifies:
		return struct {
			*writer
			io.ReaderFrom
			closeNotifier
		}{w, r, c}
	case flushes | reads | notifies:
		return struct {
			*writer
			http.Flusher
			io.ReaderFrom
			closeNotifier
		}{w, f, r, c}
	case hijacks | reads | notifies:
		return struct {
			*writer
			http.Hijacker
			io.ReaderFrom
			closeNotifier
		}{w, h, r, c}
	case flushes | hijacks | reads | notifies:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			io.ReaderFrom
			closeNotifier
		}{w, f, h, r, c}
	case pushes | reads | notifies:
		return struct {
			*writer
			http.Pusher
			io.ReaderFrom
			closeNotifier
		}{w, p, r, c}
	case flushes | pushes | reads | notifies:
		return struct {
			*writer
			http.Flusher
			http.Pusher
			io.ReaderFrom
			closeNotifier
		}{w, f, p, r, c}
	case hijacks | pushes | reads | notifies:
		return struct {
			*writer
			http.Hijacker
			http.Pusher
			io.ReaderFrom
			closeNotifier
		}{w, h, p, r, c}
	case flushes | hijacks | pushes | reads | notifies:
		return struct {
			*writer
			http.Flusher
			http.Hijacker
			http.Pusher
			io.ReaderFrom
			closeNotifier
		}{w, f, h, p, r, c}
	}
	return w
}

func bit(is bool, b int) int {
	if is {
		return b
	}
	return 0
}
