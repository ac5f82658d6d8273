package hedge_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/hedge"
)

// The winner's body, whichever attempt it is of, can be read long after RoundTrip has returned and the others have ended,
// with its trailers.
func TestTransportStreams(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		long := bytes.Repeat([]byte("x"), 1<<20) // more than net/http keeps in its buffers
		for winner := 1; winner <= 3; winner++ {
			started, more := make(chan struct{}), make(chan struct{})
			stream := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "Sum")
				io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
				<-more
				w.Write(long)
				w.Header().Set("Sum", "42")
			}
			// The others are under way when the winner answers.
			begun := make(chan struct{}, 3)
			p := pages{0: func(w http.ResponseWriter, r *http.Request) { begun <- struct{}{}; hangs(w, r) }, winner: after(started, stream)}
			s := serve(p)
			go func() {
				<-begun
				<-begun
				close(started)
			}()
			resp, err := s.client(free(ms, 2)).Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			start := make([]byte, 5)
			io.ReadFull(resp.Body, start)
			for n := 1; n <= 3; n++ {
				if n != winner {
					s.wire.wait(n, 1)
				}
			}
			close(more)
			rest, err := io.ReadAll(resp.Body)
			if string(start) != "begin" || len(rest) != len(long) || err != nil || resp.Trailer.Get("Sum") != "42" {
				t.Errorf("attempt %d: %q and %d bytes, %v, trailers %v", winner, start, len(rest), err, resp.Trailer)
			}
			resp.Body.Close()
			s.wire.settled(t, 3)
		}
	})
}

// The body goes on following the caller's context, and that alone: when it ends so does the body, and the server hears of it.
// So does that of a failure that was handed out.
func TestTransportCancelledStream(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		for name, status := range map[string]int{"success": 200, "failure": 503} {
			gone := make(chan struct{})
			s := serve(duel(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				close(gone)
			}))
			if status == 503 {
				s.pages = pages{1: func(w http.ResponseWriter, r *http.Request) {
					s.wire.wait(2, 1) // else the second attempt might be one that waits, and what it waits for be given up
					w.WriteHeader(503)
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					close(gone)
				}, 2: says(500, "")}
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			resp, err := s.client(soon).Do(request(t, "GET", s.URL, nil).WithContext(ctx))
			if err != nil || resp.StatusCode != status {
				t.Fatalf("%s: %v, %v", name, resp, err)
			}
			cancel(errBoom)
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, errBoom) && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
			<-gone
			resp.Body.Close()
			s.wire.settled(t, 2)
		}
	})
}

// An upgrade goes through untouched: one attempt, and a connection that can be written to; through a proxy too.
func TestTransportUpgrade(t *testing.T) {
	echo := func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		io.WriteString(rw, "echo "+line)
		rw.Flush()
	}
	s := newSite(t, false, pages{0: echo})
	target, _ := url.Parse(s.URL)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = hedge.Transport(hedge.MustNew(free(-1, 3)), s.Client().Transport)
	front := httptest.NewServer(proxy)
	defer front.Close()
	for _, u := range []string{s.URL, front.URL} {
		s.requests.Store(0)
		rt := hedge.Transport(hedge.MustNew(free(-1, 3)), s.Client().Transport)
		resp, err := rt.RoundTrip(request(t, "GET", u, nil, "Connection", "Upgrade", "Upgrade", "echo"))
		if err != nil {
			t.Fatal(err)
		}
		w, ok := resp.Body.(io.ReadWriteCloser)
		if resp.StatusCode != 101 || !ok {
			t.Fatalf("%d, and the body is a %T", resp.StatusCode, resp.Body)
		}
		io.WriteString(w, "hello\n")
		if got, err := bufio.NewReader(w).ReadString('\n'); got != "echo hello\n" || s.requests.Load() != 1 {
			t.Errorf("%q, %v after %d requests", got, err, s.requests.Load())
		}
		w.Close()
	}
}

// A tunnel is a conversation in both directions.
func TestTransportConnect(t *testing.T) {
	s := newSite(t, false, pages{0: func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(conn, strings.ToUpper(line))
		}
	}})
	out, in := io.Pipe()
	r := request(t, "CONNECT", s.URL, out, "Idempotency-Key", "7")
	r.URL.Opaque = "other:443"
	resp, err := hedge.Transport(hedge.MustNew(free(-1, 3)), s.Client().Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(in, line)
		if got, err := lines.ReadString('\n'); got != strings.ToUpper(line) {
			t.Errorf("%q, %v", got, err)
		}
	}
	in.Close()
	resp.Body.Close()
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A request whose answer begins before its body has ended, as only HTTP/2 is sure to allow, is not read ahead.
func TestTransportFullDuplex(t *testing.T) {
	s := newSite(t, true, pages{0: func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			io.WriteString(w, lines.Text()+"!\n")
			w.(http.Flusher).Flush()
		}
	}})
	for _, again := range []bool{false, true} { // with and without a GetBody
		out, in := io.Pipe()
		r := request(t, "POST", s.URL, out, "Idempotency-Key", "7")
		if again {
			r.GetBody = func() (io.ReadCloser, error) { return nil, errBoom }
		}
		resp, err := hedge.Transport(hedge.MustNew(atOnce), s.Client().Transport).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for _, line := range []string{"one", "two"} {
			io.WriteString(in, line+"\n")
			if got, err := lines.ReadString('\n'); got != line+"!\n" {
				t.Errorf("%q, %v", got, err)
			}
		}
		in.Close()
		resp.Body.Close()
	}
}
