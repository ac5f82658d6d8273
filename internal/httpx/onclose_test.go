package httpx_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// ends is a function that is to be called at the end.
type ends func()

func (f ends) End() { f() }

func TestOnClose(t *testing.T) {
	cut := errors.New("cut")
	text := func() io.Reader { return strings.NewReader("hello") }
	tests := []struct {
		name string
		body io.Reader
		use  func(b io.ReadCloser)
		want int
	}{
		{"nothing", text(), func(io.ReadCloser) {}, 0},
		{"read in part", text(), func(b io.ReadCloser) { _, _ = b.Read(make([]byte, 2)) }, 0},
		{"read to the last byte", text(), func(b io.ReadCloser) { _, _ = io.ReadFull(b, make([]byte, 5)) }, 0},
		{"read to the end", text(), func(b io.ReadCloser) { _, _ = io.ReadAll(b) }, 1},
		{"closed", text(), func(b io.ReadCloser) { b.Close() }, 1},
		{"closed twice", text(), func(b io.ReadCloser) { b.Close(); b.Close() }, 1},
		{"read, then closed", text(), func(b io.ReadCloser) { _, _ = io.ReadAll(b); b.Close() }, 1},
		{"failed", reader(func([]byte) (int, error) { return 0, cut }), func(b io.ReadCloser) { _, _ = b.Read(nil) }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls, closed := 0, 0
			resp := &http.Response{Body: &body{Reader: tt.body, closed: &closed}}
			httpx.OnClose(resp, ends(func() { calls++ }))
			tt.use(resp.Body)
			if calls != tt.want {
				t.Errorf("done was called %d times, want %d", calls, tt.want)
			}
		})
	}
}

func TestOnCloseKeepsNoBody(t *testing.T) {
	for _, b := range []io.ReadCloser{nil, http.NoBody} {
		calls := 0
		resp := &http.Response{Body: b}
		httpx.OnClose(resp, ends(func() { calls++ }))
		if resp.Body != b || calls != 1 {
			t.Errorf("body %v became %v, %d calls", b, resp.Body, calls)
		}
	}
}

func TestOnClosePassesTheErrorOn(t *testing.T) {
	failed, calls, closed := errors.New("failed"), 0, 0
	resp := &http.Response{Body: &body{Reader: strings.NewReader(""), closed: &closed, err: failed}}
	httpx.OnClose(resp, ends(func() { calls++ }))
	if err := resp.Body.Close(); err != failed || closed != 1 || calls != 1 {
		t.Errorf("Close = %v, inner %d times, done %d times", err, closed, calls)
	}
}

// A permit given back before the connection is free would admit one too many.
func TestOnCloseComesAfterClose(t *testing.T) {
	closed := 0
	resp := &http.Response{Body: &body{Reader: strings.NewReader(""), closed: &closed}}
	httpx.OnClose(resp, ends(func() {
		if closed != 1 {
			t.Error("done was called before the body was closed")
		}
	}))
	resp.Body.Close()
}

func TestOnCloseOfAPanic(t *testing.T) {
	calls := 0
	resp := &http.Response{Body: panicky{}}
	httpx.OnClose(resp, ends(func() { calls++ }))
	func() {
		defer func() { _ = recover() }()
		resp.Body.Close()
	}()
	if calls != 1 {
		t.Errorf("done was called %d times", calls)
	}
}

type panicky struct{ io.Reader }

func (panicky) Close() error { panic("close") }

func TestOnCloseFromManyGoroutines(t *testing.T) {
	var calls atomic.Int64
	resp := &http.Response{Body: io.NopCloser(reader(func([]byte) (int, error) { return 0, io.EOF }))}
	httpx.OnClose(resp, ends(func() { calls.Add(1) }))
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { resp.Body.Close() })
		all.Go(func() { _, _ = resp.Body.Read(nil) })
	}
	all.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("done was called %d times", n)
	}
}

// What a body can do beside Read and Close, in every combination there is.
type (
	canWrite struct{ wrote *string }
	canTo    struct{ err error }
	canHalf  struct{ closed *bool }
)

func (c canWrite) Write(p []byte) (int, error)     { *c.wrote += string(p); return len(p), nil }
func (c canTo) WriteTo(w io.Writer) (int64, error) { _, _ = io.WriteString(w, "to"); return 2, c.err }
func (c canHalf) CloseWrite() error                { *c.closed = true; return nil }
func methods(b any) (isWriter, isTo, isHalf bool) {
	_, isWriter = b.(io.Writer)
	_, isTo = b.(io.WriterTo)
	_, isHalf = b.(interface{ CloseWrite() error })
	return isWriter, isTo, isHalf
}

func TestOnCloseKeepsMethods(t *testing.T) {
	var wrote string
	var half bool
	plain := io.NopCloser(reader(func([]byte) (int, error) { return 0, io.EOF }))
	w, to, h := canWrite{&wrote}, canTo{}, canHalf{&half}
	for _, b := range []io.ReadCloser{
		plain,
		struct {
			io.ReadCloser
			canTo
		}{plain, to},
		struct {
			io.ReadCloser
			canWrite
		}{plain, w},
		struct {
			io.ReadCloser
			canWrite
			canTo
		}{plain, w, to},
		struct {
			io.ReadCloser
			canWrite
			canHalf
		}{plain, w, h},
		struct {
			io.ReadCloser
			canWrite
			canTo
			canHalf
		}{plain, w, to, h},
	} {
		wrote, half = "", false
		calls := 0
		resp := &http.Response{Body: b}
		httpx.OnClose(resp, ends(func() { calls++ }))
		isW, isTo, isHalf := methods(b)
		if gotW, gotTo, gotHalf := methods(resp.Body); gotW != isW || gotTo != isTo || gotHalf != isHalf {
			t.Errorf("%T: Writer %t, WriterTo %t, CloseWrite %t", b, gotW, gotTo, gotHalf)
			continue
		}
		if isTo {
			var s strings.Builder
			if n, err := resp.Body.(io.WriterTo).WriteTo(&s); n != 2 || err != nil || s.String() != "to" {
				t.Errorf("%T: WriteTo = %d, %v, %q", b, n, err, s.String())
			}
			if calls == 1 == isW {
				t.Errorf("%T: done called %d times after WriteTo", b, calls)
			}
		}
		if isW {
			fmt.Fprint(resp.Body.(io.Writer), "out")
			if wrote != "out" {
				t.Errorf("%T: wrote %q", b, wrote)
			}
			// One direction has ended, the conversation has not.
			if _, err := resp.Body.Read(nil); err != io.EOF || calls != 0 {
				t.Errorf("%T: Read = %v, done called %d times", b, err, calls)
			}
		}
		if isHalf {
			if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); err != nil || !half || calls != 0 {
				t.Errorf("%T: CloseWrite = %v, %t, done called %d times", b, err, half, calls)
			}
		}
		if resp.Body.Close(); calls != 1 {
			t.Errorf("%T: done called %d times after Close", b, calls)
		}
	}
}

// The destination failed, not the body: there may be more to read.
func TestOnCloseOfAFailedWriteTo(t *testing.T) {
	calls := 0
	resp := &http.Response{Body: struct {
		io.ReadCloser
		canTo
	}{http.NoBody, canTo{errors.New("disk full")}}}
	httpx.OnClose(resp, ends(func() { calls++ }))
	if _, err := resp.Body.(io.WriterTo).WriteTo(io.Discard); err == nil || calls != 0 {
		t.Errorf("WriteTo = %v, done called %d times", err, calls)
	}
}

func TestOnCloseKeepsTrailers(t *testing.T) {
	protocols(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "hello")
			w.Header().Set("X-Sum", "42")
		})
		resp := s.get(t)
		calls := 0
		httpx.OnClose(resp, ends(func() { calls++ }))
		b, err := io.ReadAll(resp.Body)
		if string(b) != "hello" || err != nil || calls != 1 {
			t.Errorf("read %q, %v, done called %d times", b, err, calls)
		}
		if got := resp.Trailer.Get("X-Sum"); got != "42" {
			t.Errorf("the trailer is %q", got)
		}
		resp.Body.Close()
	})
}

// A body cut short is an end, too.
func TestOnCloseOfACutBody(t *testing.T) {
	protocols(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		resp := s.get(t)
		calls := 0
		httpx.OnClose(resp, ends(func() { calls++ }))
		if _, err := io.ReadAll(resp.Body); err == nil || calls != 1 {
			t.Errorf("read: %v, done called %d times", err, calls)
		}
		resp.Body.Close()
	})
}

func TestOnCloseOfAnUpgrade(t *testing.T) {
	s := echo(t)
	var calls atomic.Int64
	resp, err := upgrade(t, s.URL, watched(func() { calls.Add(1) }))
	if err != nil {
		t.Fatal(err)
	}
	converse(t, resp.Body.(io.ReadWriter))
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
		t.Errorf("after CloseWrite: %q, %v", rest, err)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("done called %d times before Close", n)
	}
	if resp.Body.Close(); calls.Load() != 1 {
		t.Errorf("done called %d times", calls.Load())
	}
}

// ReverseProxy refuses a 101 whose body is not an io.ReadWriteCloser.
func TestOnCloseUnderReverseProxy(t *testing.T) {
	u, err := url.Parse(echo(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	rp := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: watched(func() { close(closed) }),
	}
	front := httptest.NewServer(rp)
	defer front.Close()
	resp, err := upgrade(t, front.URL, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, resp.Body.(io.ReadWriter))
	resp.Body.Close()
	<-closed // from a goroutine of the proxy's, some time after
}

// echo is a server that upgrades to saying everything twice.
func echo(t *testing.T) *server {
	return serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, rw)
	})
}

func watched(done func()) transport {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			httpx.OnClose(resp, ends(done))
		}
		return resp, err
	}
}

func upgrade(t *testing.T, url string, base http.RoundTripper) (*http.Response, error) {
	req := request(t, http.MethodGet, url)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := base.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	return resp, err
}

func converse(t *testing.T, rw io.ReadWriter) {
	t.Helper()
	in := bufio.NewReader(rw)
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(rw, line); err != nil {
			t.Fatal(err)
		}
		if got, err := in.ReadString('\n'); got != line || err != nil {
			t.Fatalf("the echo of %q is %q, %v", line, got, err)
		}
	}
}

// What holds until the end of a body, and the watch of it, are one allocation, for the bodies that net/http makes.
func TestOnCloseAllocatesOnce(t *testing.T) {
	b := &body{Reader: reader(func([]byte) (int, error) { return 0, io.EOF }), closed: new(int)}
	resp, permit := &http.Response{}, &permit{}
	if n := testing.AllocsPerRun(100, func() {
		resp.Body = b
		httpx.OnClose(resp, permitted{permit, 1, nil})
		resp.Body.Close()
	}); n != 1 {
		t.Errorf("%v allocations", n)
	}
	if permit.back != 101 { // and one to warm up
		t.Errorf("given back %d times", permit.back)
	}
}

type permit struct{ back int }

type permitted struct {
	permit *permit
	n      int
	_      *int
}

func (p permitted) End() { p.permit.back += p.n }
