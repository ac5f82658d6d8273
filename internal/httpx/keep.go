package httpx

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// keepBytes is how much of a body is kept in memory: error pages are smaller.
const keepBytes = 16 << 10

// Keep reads a response that may be handed out later, or not at all, to its end: until then an unread body holds its
// connection, and its place in a bulkhead below, which others may wait for. If that succeeds, the body is closed, what was in
// it is in memory, and resp is otherwise as it was, with its trailers.
//
// The reading has the bounds of [Discard], but for the bytes: 16 KiB. Where it comes to one of them Keep returns false; the
// body can still be read from its beginning, and holds what it held. A Read may then be under way: for a Close beside it, see
// Discard.
func Keep(ctx context.Context, resp *http.Response) (whole bool) {
	switch {
	case resp.Body == nil || resp.Body == http.NoBody:
		return true
	case resp.ContentLength > keepBytes || ctx.Err() != nil:
		return false
	}
	k := &keptBody{rest: resp.Body, over: make(chan struct{})}
	resp.Body = k
	returned := false
	defer func() {
		if !returned { // a Read panicked, and nobody gets the response
			_ = k.Close()
		}
	}()
	whole = within(ctx, k.readAhead)
	returned = true
	if !whole {
		k.enough.Store(true)
		return false
	}
	_ = k.rest.Close() // it has ended
	k.rest = http.NoBody
	return true
}

// Cut closes the body of a response for which Keep has returned false. What was read of it stays, with the error at its end.
func Cut(resp *http.Response, err error) {
	k, begun := resp.Body.(*keptBody)
	if !begun {
		k = &keptBody{rest: resp.Body, over: make(chan struct{})}
		close(k.over)
	}
	cut := &keptBody{rest: http.NoBody, over: make(chan struct{}), err: err}
	close(cut.over)
	resp.Body = cut
	if within(context.Background(), func() bool {
		_ = k.rest.Close() // nobody wants to know
		<-k.over
		return true
	}) {
		cut.read = k.read
	}
}

// keptBody is a body of which the beginning is in memory.
type keptBody struct {
	rest   io.ReadCloser
	enough atomic.Bool   // no Read is to follow the one that may be under way
	over   chan struct{} // closed when nobody reads ahead any more; until then read and err are not the reader's
	read   []byte
	err    error // what comes after it; nil: the rest
	closed atomic.Bool
}

// readAhead reads to the end, which it reports, or to just beyond the bound.
func (k *keptBody) readAhead() (ended bool) {
	defer close(k.over)
	buf := make([]byte, 2<<10)
	for range drainReads {
		n, err := k.rest.Read(buf)
		k.read = append(k.read, buf[:n]...)
		if k.err = err; err != nil {
			return true
		}
		if len(k.read) > keepBytes || k.enough.Load() {
			return false
		}
	}
	return false
}

func (k *keptBody) Read(p []byte) (int, error) {
	if k.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	<-k.over
	switch {
	case len(k.read) > 0:
		n := copy(p, k.read)
		k.read = k.read[n:]
		return n, nil
	case k.err != nil:
		return 0, k.err
	}
	return k.rest.Read(p)
}

// Close may be called beside Read, and as often as the inner body's.
func (k *keptBody) Close() error {
	k.closed.Store(true)
	select {
	case <-k.over:
		return k.rest.Close()
	default:
	}
	// A Close that waits for the Read under way is left to itself, as in Discard.
	said := make(chan error, 1)
	if within(context.Background(), func() bool { said <- k.rest.Close(); return true }) {
		return <-said
	}
	return errStillRead
}

var errStillRead = errors.New("http: the response's body is closed, but a Read of it goes on")
