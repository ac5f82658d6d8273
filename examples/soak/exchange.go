package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// answer is what a backend answers to a call, and what a client sends: nobody else's is like it.
func answer(id string, size int) []byte {
	line := []byte(id + "\n")
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

// want is the answer to the call.
func (c *call) want() []byte {
	if c.method == http.MethodHead {
		return nil
	}
	return answer(c.id, c.size)
}

// content is what the call sends.
func (c *call) content() io.ReadCloser { return io.NopCloser(bytes.NewReader(answer(c.id, c.body))) }

// request is that of a call, to one target.
func (w *world) request(ctx context.Context, c *call, to *url.URL) (*http.Request, error) {
	u := *to
	u.Path = "/answer"
	u.RawQuery = url.Values{"call": {c.id}, "size": {strconv.Itoa(c.size)}, "body": {strconv.Itoa(c.body)}}.Encode()
	req, err := http.NewRequestWithContext(ctx, c.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if c.key {
		req.Header.Set("Idempotency-Key", c.id)
	}
	if c.body > 0 {
		req.GetBody = func() (io.ReadCloser, error) {
			return &body{c.content(), w.sent.enter()}, nil
		}
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(c.body)
	}
	return req, nil
}

// serve answers, after a moment of work.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("call")
	size, _ := strconv.Atoi(q.Get("size")) // nothing is certain on a network that spoils bits
	sent, _ := strconv.Atoi(q.Get("body"))
	got, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil || id == "" || size < 0 || size > 1<<16 || sent < 0 || sent > 1<<16 {
		http.Error(rw, "what?", http.StatusBadRequest)
		return
	}
	if !bytes.Equal(got, answer(id, sent)) && !w.fault.spoils() {
		w.complain("%s: a backend has got a body of %d bytes that is not the one of %d that was sent", id, len(got), sent)
	}
	work := time.NewTimer(ms)
	defer work.Stop()
	select {
	case <-work.C:
	case <-r.Context().Done():
		return
	}
	rw.Header().Set("Content-Length", strconv.Itoa(size))
	_, _ = rw.Write(answer(id, size)) // the client may have gone
}

// statusError is a response that is no answer.
type statusError struct {
	code    int
	after   time.Duration
	refused bool // by a server, which says that it has done nothing
}

func newStatusError(resp *http.Response) *statusError {
	e := &statusError{code: resp.StatusCode, refused: resp.Header.Get("Holdfast-Refused") == "yes"}
	if seconds, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 64); err == nil {
		e.after = time.Duration(seconds) * time.Second // what the server says: absurd values are what this is about
	}
	return e
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d", e.code) }

// RetryAfter is what policies ask for.
func (e *statusError) RetryAfter() time.Duration { return e.after }

// Refused is what they ask for too. Above a Transport it is what the stack says of the whole call: of all that it has sent.
func (e *statusError) Refused() bool { return e.refused }
