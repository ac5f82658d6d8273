package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// httpLastResponse: a response is no error, and comes with its body unread, though every attempt failed.
func httpLastResponse(t *testing.T, c *Cell, srv *server) {
	httpResponse(t, c, srv, func(attempts int) int { return attempts })
}

// FirstResponse is the row HTTPLastResponse of a policy whose attempts, three of them, run beside each other: the response is
// that to the first.
func FirstResponse(t *testing.T, c *Cell) { ResponseBefore(2)(t, c) }

// ResponseBefore is the row HTTPLastResponse where so many attempts come after the one whose response comes back.
func ResponseBefore(n int) func(*testing.T, *Cell) {
	return overHTTP(func(t *testing.T, c *Cell, srv *server) {
		httpResponse(t, c, srv, func(attempts int) int { return attempts - n })
	})
}

// httpResponse makes a call whose attempts all fail. which says of how many attempts which one's response comes back.
func httpResponse(t *testing.T, c *Cell, srv *server, which func(attempts int) int) {
	t.Helper()
	s := c.Fresh(t, Setup{})
	var ran atomic.Int64
	srv.handle(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, http.StatusServiceUnavailable, strconv.FormatInt(ran.Add(1), 10))
	})
	req := srv.request(t.Context(), t)
	resp, err := s.send(s.Transport(srv), req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if want := strconv.Itoa(which(s.Attempts)); resp.StatusCode != http.StatusServiceUnavailable || string(text) != want || err != nil {
		t.Errorf("got status %d, body %q, %v; want 503 and %q", resp.StatusCode, text, err, want)
	}
	if resp.Request != req {
		t.Error("the response is not to the caller's request")
	}
	resp.Body.Close()
	srv.closed(t, "after the last response")
	s.Settled()
}

// httpBodies: whatever happens, each body that was opened is closed: of the requests, those made by GetBody
// included, and of the responses.
func httpBodies(t *testing.T, c *Cell, srv *server) {
	paths := map[string]bodyPath{
		"success": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { answer(w, r, 200, "ok") }},
		"failure, then success": {handle: func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				answer(w, r, 503, "not yet")
				return
			}
			answer(w, r, 200, "ok")
		}},
		"failures":                   {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { answer(w, r, 503, "no") }},
		"the request's own fault":    {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { answer(w, r, 404, "no") }},
		"no body read, none written": {handle: func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }},
		"connections that break":     {handle: func(int64, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"bodies that break off": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answer(w, r, 503, "the beginning")
			panic(http.ErrAbortHandler)
		}},
		"cancelled while waiting": {
			setup:   Setup{Wait: 10 * time.Second}, // long enough to be told from none, if it is not cancelled
			dropped: true,
			handle:  func(_ int64, w http.ResponseWriter, r *http.Request) { answer(w, r, 503, "no") },
		},
		"context already done": {done: true},
		"refused":              {moved: true},
		"no place":             {filled: true},
		"cancelled in a queue": {filled: true, setup: Setup{Wait: 10 * time.Second}},
	}
	for name, p := range paths {
		for _, limit := range []time.Duration{0, time.Hour} {
			p.setup.AttemptTimeout = limit
			s := c.Fresh(t, p.setup)
			if p.moved && s.MoveOn == nil || p.filled && s.queueing() < 0 {
				continue
			}
			p.exchange(t, s, srv)
			srv.closed(t, name)
			s.Settled()
		}
	}
}

// bodyPath is one way that a call can go.
type bodyPath struct {
	setup  Setup
	handle func(n int64, w http.ResponseWriter, r *http.Request) // nil: the server is not to be asked

	done    bool // the context is, before the call
	dropped bool // the context ends when a body is closed: of a response that is dropped before a wait
	moved   bool // the state has, before the call: to one that refuses it
	filled  bool // there is no place; if the setup has the call wait for one, the context ends meanwhile
}

func (p *bodyPath) exchange(t *testing.T, s *Subject, srv *server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if p.moved {
		s.MoveOn()
	}
	if p.filled {
		defer s.Fill()()
	}
	if p.filled && p.setup.Wait > 0 {
		queued := s.Layers[s.queueing()].Queued
		go func() {
			for queued() == 0 && ctx.Err() == nil {
				runtime.Gosched()
			}
			cancel()
		}()
	}
	if p.done {
		cancel()
	}
	onDrop := func() {}
	if p.dropped {
		onDrop = cancel
	}
	srv.onDrop.Store(onDrop)
	var n atomic.Int64
	req := srv.request(ctx, t)
	req.URL.Path = fmt.Sprintf("/%p", &n) // of this call
	srv.handle(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != req.URL.Path: // an attempt that was lost in a call before, of which the server hears only now
		case p.handle == nil:
			t.Error("the request was sent")
		default:
			p.handle(n.Add(1), w, r)
		}
	})
	resp, err := s.send(s.Transport(srv), req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	switch {
	case err == nil && p.handle == nil:
		t.Error("there is a response")
	case err != nil && ctx.Err() != nil && !errors.Is(err, context.Canceled):
		t.Errorf("the context was cancelled, and the error is %v", err)
	case p.filled && p.setup.Wait > 0 && ctx.Err() == nil:
		t.Errorf("it did not wait: %v", err)
	}
}

// httpConnections: what is dropped is drained, so that a retry finds the connection again. Who reads to the end and
// closes has one connection for all calls.
func httpConnections(t *testing.T, c *Cell, srv *server) {
	s := c.Fresh(t, Setup{AttemptTimeout: time.Hour})
	var n atomic.Int64
	srv.handle(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		if n.Add(1)%3 == 1 {
			status = http.StatusServiceUnavailable
		}
		answer(w, r, status, "some text")
	})
	rt, began := s.Transport(srv), time.Now()
	for range 20 {
		resp, err := s.send(rt, srv.request(t.Context(), t))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		srv.closed(t, "before the next call")
	}
	// On a busy machine what is dropped may be too late to be drained, and each that is has been waited for.
	late := int64(time.Since(began) / (50 * time.Millisecond))
	if got := srv.dialed.Load(); got > 1+late {
		t.Errorf("%d requests, one after another, took %d connections, want 1; %d may have been given up", n.Load(), got, late)
	}
	srv.closed(t, "at the end")
	s.Settled()
}

// httpStream: a body that the server goes on sending after the call has returned can be read to its end, and follows
// the caller's context.
func httpStream(t *testing.T, c *Cell, srv *server) {
	returned, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	endless, chunks := false, int64(1000)
	if c.Policy.Brief {
		chunks = 100
	}
	srv.handle(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		<-returned
		for range chunks {
			_, _ = w.Write(make([]byte, 1000))
		}
		if endless {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			gone <- struct{}{}
		}
	})
	for _, limit := range []time.Duration{0, time.Hour} {
		s := c.Fresh(t, Setup{AttemptTimeout: limit})
		rt := s.Transport(srv)
		ctx, cancel := context.WithCancel(t.Context())
		endless = false
		resp, err := s.send(rt, srv.request(ctx, t))
		if err != nil {
			t.Fatal(err)
		}
		returned <- struct{}{}
		if n, err := io.Copy(io.Discard, resp.Body); n != chunks*1000 || err != nil {
			t.Errorf("limit %v: read %d bytes, %v; want %d", limit, n, err, chunks*1000)
		}
		resp.Body.Close()

		endless = true
		if resp, err = s.send(rt, srv.request(ctx, t)); err != nil {
			t.Fatal(err)
		}
		returned <- struct{}{}
		_, _ = io.CopyN(io.Discard, resp.Body, chunks*1000)
		cancel()
		if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("limit %v: the caller cancelled, and the body's Read says %v", limit, err)
		}
		<-gone
		resp.Body.Close()
		srv.closed(t, "after a stream")
		s.Settled()
	}
}

// httpTimeLimit: the time limit of an attempt covers its body, until that is closed.
func httpTimeLimit(t *testing.T, c *Cell, srv *server) {
	srv.handle(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done(): // the client hangs up
		case <-time.After(10 * time.Second): // only so that the check fails, and does not hang, if the client never does
		}
	})
	s := c.Fresh(t, Setup{Attempts: 1, AttemptTimeout: 50 * time.Millisecond})
	resp, err := s.send(s.Transport(srv), srv.request(t.Context(), t))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a body that never ends: %v, want the deadline", err)
	}
	srv.closed(t, "after the limit")
	s.Settled()
}

// httpNothingLeft: when the connections are closed, no goroutine is left.
func httpNothingLeft(t *testing.T, c *Cell, srv *server) {
	var n atomic.Int64
	srv.handle(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		if n.Add(1)%10 == 1 { // few enough for a breaker below a hedge, whose lost attempts are no successes
			status = http.StatusServiceUnavailable
		}
		answer(w, r, status, "some text")
	})
	before := runtime.NumGoroutine()
	s := c.Fresh(t, Setup{AttemptTimeout: time.Hour})
	rt := s.Transport(srv)
	calls := 200
	if c.Policy.Brief {
		calls = 40
	}
	for range calls {
		resp, err := s.send(rt, srv.request(t.Context(), t))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if !eventually(2000, func() bool { // a connection that was being made for an attempt that lost is there a moment later
		srv.transport.CloseIdleConnections()
		srv.CloseClientConnections()
		return runtime.NumGoroutine() <= before
	}) {
		t.Errorf("%d goroutines before %d calls, %d after them", before, calls, runtime.NumGoroutine())
	}
	s.Settled()
}
