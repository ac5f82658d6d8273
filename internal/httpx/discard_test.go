package httpx_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// However the page is sent, the next request finds the connection free.
func TestDiscardKeepsTheConnection(t *testing.T) {
	pages := map[string]func(w http.ResponseWriter){
		"length": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "20")
			w.WriteHeader(503)
			fmt.Fprint(w, strings.Repeat("x", 20))
		},
		"chunked": func(w http.ResponseWriter) {
			w.WriteHeader(503)
			fmt.Fprint(w, "one")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "two")
		},
		"as long as the bound": func(w http.ResponseWriter) {
			w.WriteHeader(503)
			w.(http.Flusher).Flush()
			fmt.Fprint(w, strings.Repeat("x", 8<<10))
		},
		"none": func(w http.ResponseWriter) { w.WriteHeader(204) },
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			protocols(t, func(t *testing.T, h2 bool) {
				s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) { page(w) })
				var late excuses
				for range 5 {
					resp := s.get(t)
					late.of(func() { httpx.Discard(resp) })
				}
				if n := s.conns.Load(); n > 1+int64(late) {
					t.Errorf("5 requests took %d connections, and for %d of them the page came too late", n, late)
				}
			})
		})
	}
}

// excuses counts what took so long that it may have been given up, as it is to be, on a machine that is busy: neither the
// drain time nor net/http's own wait for a request to be written is longer.
type excuses int

func (e *excuses) of(f func()) {
	const patience = 50 * time.Millisecond
	start := time.Now()
	if f(); time.Since(start) >= patience {
		*e++
	}
}

// None of these ends. The test fails by its timeout.
func TestDiscardReturns(t *testing.T) {
	bomb := gzipped(8 << 20)
	pages := map[string]func(w http.ResponseWriter, r *http.Request){
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		},
		"silent": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"short, but never sent": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "20")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"stops half-way": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"gzip, silent": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"gzip bomb": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
			<-r.Context().Done()
		},
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			protocols(t, func(t *testing.T, h2 bool) {
				ended := make(chan struct{})
				s := serve(t, h2, func(w http.ResponseWriter, r *http.Request) {
					defer close(ended)
					page(w, r)
				})
				resp := s.get(t)
				seen := &counter{ReadCloser: resp.Body}
				resp.Body = seen
				httpx.Discard(resp)
				<-ended // the server has been told: nothing holds the connection or the stream
				if n := seen.n.Load(); n > 16<<10 {
					t.Errorf("%d bytes were read", n)
				}
			})
		})
	}
}

func gzipped(n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, n))
	_ = z.Close()
	return b.Bytes()
}

type counter struct {
	io.ReadCloser
	n, reads atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	c.reads.Add(1)
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// What need not be read is only closed.
func TestDiscardSkips(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		resp http.Response
		read bool
	}{
		{name: "an ordinary one", resp: http.Response{StatusCode: 503, ProtoMajor: 1, ContentLength: -1}, read: true},
		{name: "length up to the bound", resp: http.Response{StatusCode: 503, ProtoMajor: 1, ContentLength: 8 << 10}, read: true},
		{name: "length beyond", resp: http.Response{StatusCode: 503, ProtoMajor: 1, ContentLength: 8<<10 + 1}},
		{name: "Connection: close", resp: http.Response{StatusCode: 503, ProtoMajor: 1, Close: true}},
		{name: "gzip", resp: http.Response{StatusCode: 503, ProtoMajor: 1, ContentLength: -1, Uncompressed: true}},
		{name: "101", resp: http.Response{StatusCode: 101, ProtoMajor: 1}},
		{name: "CONNECT", resp: http.Response{StatusCode: 200, ProtoMajor: 1, Request: &http.Request{Method: "CONNECT"}}},
		{name: "h2, length known", resp: http.Response{StatusCode: 503, ProtoMajor: 2, ContentLength: 5}, read: true},
		{name: "h2, length unknown", resp: http.Response{StatusCode: 503, ProtoMajor: 2, ContentLength: -1}},
		{name: "context done", resp: http.Response{StatusCode: 503, ProtoMajor: 1, Request: (&http.Request{}).WithContext(gone)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := 0
				b := &counter{ReadCloser: &body{Reader: strings.NewReader("hello"), closed: &closed}}
				tt.resp.Body = b
				httpx.Discard(&tt.resp)
				if read := b.reads.Load() > 0; read != tt.read || closed != 1 {
					t.Errorf("read: %t, closed %d times", read, closed)
				}
			})
		})
	}
	httpx.Discard(nil)
	httpx.Discard(&http.Response{})
	httpx.Discard(&http.Response{Body: http.NoBody})
}

// stuck is a body whose Read does not end with Close, but when the test says so.
type stuck struct {
	io.Reader
	closed chan struct{}
}

func (s *stuck) Close() error { close(s.closed); return nil }

func TestDiscardAbandonsAReadThatOutlivesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		b := &stuck{Reader: r, closed: make(chan struct{})}
		start := time.Now()
		httpx.Discard(&http.Response{ProtoMajor: 1, ContentLength: -1, Body: b})
		<-b.closed
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("Discard took %v", d)
		}
		// The Read ends at last; no other follows, though there is more to read.
		_, _ = w.Write([]byte("x"))
		synctest.Wait()
		wrote := make(chan struct{})
		go func() { _, _ = w.Write([]byte("y")); close(wrote) }()
		synctest.Wait()
		select {
		case <-wrote:
			t.Error("the abandoned goroutine read on")
		default:
		}
		r.Close()
		<-wrote
	})
}

// The body of a transport that is built on http.ReadResponse: its Close waits for
// the Read, then reads to the end by itself. The end never comes, the call returns.
// (No bubble: a mutex is waited for.)
func TestDiscardAbandonsACloseThatWaits(t *testing.T) {
	for _, uncompressed := range []bool{false, true} { // with a Read under way, and without
		r, w := io.Pipe()
		go fmt.Fprint(w, "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(r), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Uncompressed = uncompressed
		httpx.Discard(resp)
		w.Close()
	}
}

func TestDiscardEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r, w := io.Pipe()
		start := time.Now()
		httpx.Discard(&http.Response{ProtoMajor: 1, ContentLength: -1, Body: r, Request: (&http.Request{}).WithContext(ctx)})
		if d := time.Since(start); d != time.Millisecond {
			t.Errorf("Discard took %v", d)
		}
		w.Close()
	})
}

func TestDiscardOfADeadContextReadsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 { // a goroutine for it would come to read in some of them
		b := &counter{ReadCloser: io.NopCloser(strings.NewReader("x"))}
		httpx.Discard(&http.Response{ProtoMajor: 1, ContentLength: -1, Body: b, Request: (&http.Request{}).WithContext(ctx)})
		runtime.Gosched()
		if b.reads.Load() != 0 {
			t.Fatal("read for a caller who has gone")
		}
	}
}

// A body of just the bound is read up to its io.EOF, or all the reading was in vain.
func TestDiscardReadsToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		src := strings.NewReader(strings.Repeat("x", 8<<10))
		b := reader(func(p []byte) (int, error) {
			n, err := src.Read(p)
			ended = err == io.EOF
			return n, err
		})
		httpx.Discard(&http.Response{ProtoMajor: 1, ContentLength: -1, Body: io.NopCloser(b)})
		if !ended {
			t.Error("stopped before the end")
		}
	})
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

// A Read that returns nothing at all must not spin until the time is over.
func TestDiscardOfEmptyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, closed := 0, 0
		b := &body{Reader: reader(func([]byte) (int, error) { reads++; return 0, nil }), closed: &closed}
		httpx.Discard(&http.Response{ProtoMajor: 1, ContentLength: -1, Body: b})
		if reads > 10000 || closed != 1 {
			t.Errorf("%d reads, closed %d times", reads, closed)
		}
	})
}

func TestDiscardCarriesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		oops := errors.New("oops")
		defer func() {
			if got := recover(); got != oops {
				t.Errorf("recovered %v", got)
			}
		}()
		closed := 0
		b := &body{Reader: reader(func([]byte) (int, error) { panic(oops) }), closed: &closed}
		defer func() {
			if closed != 1 {
				t.Errorf("closed %d times", closed)
			}
		}()
		httpx.Discard(&http.Response{ProtoMajor: 1, ContentLength: -1, Body: b})
	})
}

func TestDiscardLeavesNoGoroutine(t *testing.T) {
	protocols(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "20")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		var all sync.WaitGroup
		for range 20 {
			resp := s.get(t)
			all.Go(func() { httpx.Discard(resp) })
		}
		all.Wait()
		for strings.Contains(stacks(), "internal/httpx.within") {
			runtime.Gosched() // until the test's timeout
		}
	})
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// On HTTP/2 a body closed early is a RST_STREAM. Short error pages must not be
// answered with one each: servers take that for an attack.
func TestDiscardResetsNoStream(t *testing.T) {
	resets := &frames{typ: 3}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(503)
		w.(http.Flusher).Flush() // the header travels alone
		fmt.Fprint(w, "bad")
	}))
	s.Listener = &listener{s.Listener, resets}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	base := &http.Transport{Protocols: s.Config.Protocols}
	defer base.CloseIdleConnections()
	var late excuses
	for range 50 {
		resp, err := base.RoundTrip(request(t, http.MethodGet, s.URL))
		if err != nil {
			t.Fatal(err)
		}
		if resp.ProtoMajor != 2 {
			t.Fatal(resp.Proto)
		}
		late.of(func() { httpx.Discard(resp) })
	}
	if n := resets.n.Load(); n > int64(late) {
		t.Errorf("the server got %d RST_STREAM for 50 short responses, and %d of them came too late", n, late)
	}
}

// frames counts the HTTP/2 frames of one type that a connection brings.
type frames struct {
	typ byte
	n   atomic.Int64
}

type listener struct {
	net.Listener
	*frames
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &frameConn{Conn: c, frames: l.frames, skip: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}, nil
}

type frameConn struct {
	net.Conn
	*frames
	skip   int // bytes of the preface, then of a payload
	header []byte
}

func (c *frameConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for _, b := range p[:n] {
		if c.skip > 0 {
			c.skip--
			continue
		}
		c.header = append(c.header, b)
		if len(c.header) == 9 {
			if c.header[3] == c.typ {
				c.frames.n.Add(1)
			}
			c.skip = int(binary.BigEndian.Uint32(append([]byte{0}, c.header[:3]...)))
			c.header = c.header[:0]
		}
	}
	return n, err
}
