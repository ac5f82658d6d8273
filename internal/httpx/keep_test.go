package httpx_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// However the page is sent, it is in memory then, with all that came with it, and the next request finds the connection free.
func TestKeepKeepsTheConnection(t *testing.T) {
	pages := map[string]func(w http.ResponseWriter){
		"length": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "20")
			w.WriteHeader(503)
			fmt.Fprint(w, strings.Repeat("x", 20))
		},
		"trailers": func(w http.ResponseWriter) {
			w.Header().Set("Trailer", "Sum")
			w.WriteHeader(503)
			fmt.Fprint(w, "one")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "two")
			w.Header().Set("Sum", "42")
		},
		"as long as the bound": func(w http.ResponseWriter) {
			w.WriteHeader(503)
			w.(http.Flusher).Flush()
			fmt.Fprint(w, strings.Repeat("x", 16<<10))
		},
		"gzip": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(503)
			z := gzip.NewWriter(w)
			fmt.Fprint(z, "zipped")
			z.Close()
		},
		"none": func(w http.ResponseWriter) { w.WriteHeader(204) },
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			protocols(t, func(t *testing.T, h2 bool) {
				s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) { page(w) })
				read := func(resp *http.Response) string {
					got, err := io.ReadAll(resp.Body)
					resp.Header.Del("Date")
					return fmt.Sprint(resp.Status, resp.Header, resp.ContentLength, resp.Uncompressed, string(got), err, resp.Trailer)
				}
				bare := s.get(t)
				want := read(bare)
				bare.Body.Close()
				var late excuses
				for range 5 {
					resp, whole, before := s.get(t), false, late
					if late.of(func() { whole = httpx.Keep(t.Context(), resp) }); !whole && late == before {
						t.Fatal("it was not kept")
					}
					defer resp.Body.Close() // nobody waits for that
					if got := read(resp); got != want {
						t.Errorf("%.200s\nbare %.200s", got, want)
					}
				}
				if n := s.conns.Load(); n > 1+int64(late) {
					t.Errorf("6 requests took %d connections, and for %d of them the page came too late", n, late)
				}
			})
		})
	}
}

// kept is a body that says what it was asked.
type kept struct {
	read   func(p []byte) (int, error)
	closed chan struct{}
}

func newKept(read func(p []byte) (int, error)) *kept { return &kept{read, make(chan struct{}, 9)} }

func (k *kept) Read(p []byte) (int, error) { return k.read(p) }
func (k *kept) Close() error               { k.closed <- struct{}{}; return nil }

func (k *kept) response() *http.Response { return &http.Response{Body: k, ContentLength: -1} }

// pause is a Read that takes long.
func pause(d time.Duration, then io.Reader) func([]byte) (int, error) {
	return func(p []byte) (int, error) {
		time.Sleep(d)
		return then.Read(p)
	}
}

// What is too long, or too slow, is there to be read from its beginning.
func TestKeepBounds(t *testing.T) {
	long := strings.Repeat("long", 5000)
	for name, test := range map[string]struct {
		read  func([]byte) (int, error)
		whole bool
		want  string
		took  time.Duration
	}{
		"short":            {strings.NewReader("short").Read, true, "short", 0},
		"as long as it is": {strings.NewReader(long[:16<<10]).Read, true, long[:16<<10], 0},
		"one byte more":    {strings.NewReader(long[:16<<10+1]).Read, false, long[:16<<10+1], 0},
		"long":             {strings.NewReader(long).Read, false, long, 0},
		"slow":             {pause(time.Second, strings.NewReader("slow")), false, "slow", 50 * time.Millisecond},
		"slow, in parts":   {pause(20*time.Millisecond, &onePerRead{strings.NewReader("slow")}), false, "slow", 50 * time.Millisecond},
		"in time":          {pause(20*time.Millisecond, strings.NewReader("in time")), true, "in time", 40 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, start := newKept(test.read), time.Now()
				resp := k.response()
				whole := httpx.Keep(t.Context(), resp)
				if took := time.Since(start); whole != test.whole || took != test.took || (len(k.closed) == 1) != whole {
					t.Errorf("whole: %t, after %v, closed %d times", whole, took, len(k.closed))
				}
				got, err := io.ReadAll(resp.Body)
				if string(got) != test.want || err != nil {
					t.Errorf("%d bytes of %d, %v", len(got), len(test.want), err)
				}
				resp.Body.Close()
				if len(k.closed) != 1 {
					t.Errorf("closed %d times", len(k.closed))
				}
				if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
					t.Errorf("after Close: %d, %v", n, err)
				}
			})
		})
	}
}

// onePerRead reads a byte at a time.
type onePerRead struct{ io.Reader }

func (o *onePerRead) Read(p []byte) (int, error) { return o.Reader.Read(p[:1]) }

// A length that is announced to be too much is not tried, nor is anything for a context that has ended.
func TestKeepDoesNotBegin(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		length int64
	}{"long": {t.Context(), 16<<10 + 1}, "context": {done, 5}} {
		k := newKept(func([]byte) (int, error) { t.Error(name, "it was read"); return 0, io.EOF })
		resp := k.response()
		resp.ContentLength = test.length
		if httpx.Keep(test.ctx, resp) || resp.Body != io.ReadCloser(k) {
			t.Error(name, "it was kept")
		}
	}
}

// A body that breaks off has ended: the error comes after what was read.
func TestKeepBrokenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errBroken := errors.New("broken")
		k := newKept(io.MultiReader(strings.NewReader("the beginning"), failingReader{errBroken}).Read)
		resp := k.response()
		whole := httpx.Keep(t.Context(), resp)
		got, err := io.ReadAll(resp.Body)
		if !whole || string(got) != "the beginning" || err != errBroken || len(k.closed) != 1 {
			t.Errorf("whole: %t, %q, %v, closed %d times", whole, got, err, len(k.closed))
		}
	})
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// A Read that panics does so in the caller, and the body is closed.
func TestKeepPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(func([]byte) (int, error) { panic("boom") })
		defer func() {
			if got := recover(); got != "boom" || len(k.closed) != 1 {
				t.Errorf("recovered %v, closed %d times", got, len(k.closed))
			}
		}()
		httpx.Keep(t.Context(), k.response())
	})
}

// Close ends a Read that is under way, if the body's does; a Close that waits for the Read is not waited for long.
func TestKeepCloseBesideRead(t *testing.T) {
	for name, heeds := range map[string]bool{"heeds": true, "waits": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended, never := make(chan struct{}), make(chan struct{})
				resp := &http.Response{ContentLength: -1, Body: closeFunc{
					failingAfter(ended),
					func() error {
						if !heeds {
							<-never
						}
						close(ended)
						return nil
					},
				}}
				httpx.Keep(t.Context(), resp)
				start := time.Now()
				err := resp.Body.Close()
				if took := time.Since(start); (err == nil) != heeds || (took == 0) != heeds || took > time.Second {
					t.Errorf("%v after %v", err, took)
				}
				close(never)
			})
		})
	}
}

type closeFunc struct {
	io.Reader
	close func() error
}

func (c closeFunc) Close() error { return c.close() }

// failingAfter is a Reader that fails when it is told to.
type failingAfter chan struct{}

func (f failingAfter) Read([]byte) (int, error) { <-f; return 0, io.ErrUnexpectedEOF }

// What is cut is closed; what was read of it stays, and the error comes after that.
func TestCut(t *testing.T) {
	errCut := errors.New("cut")
	for name, test := range map[string]struct {
		read   func([]byte) (int, error)
		length int64
		want   int
	}{
		"long":      {strings.NewReader(strings.Repeat("x", 1<<20)).Read, -1, 18 << 10},
		"not begun": {strings.NewReader(strings.Repeat("x", 1<<20)).Read, 1 << 20, 0},
		"slow":      {pause(70*time.Millisecond, strings.NewReader("x")), -1, 1}, // the Read comes back before Close is given up
		"hangs":     {pause(time.Hour, strings.NewReader("x")), -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKept(test.read)
				resp := k.response()
				resp.ContentLength = test.length
				if httpx.Keep(t.Context(), resp) {
					t.Fatal("it was kept")
				}
				start := time.Now()
				httpx.Cut(resp, errCut)
				if took := time.Since(start); took > 50*time.Millisecond || len(k.closed) != 1 {
					t.Errorf("closed %d times, after %v", len(k.closed), took)
				}
				got, err := io.ReadAll(resp.Body)
				if len(got) != test.want || err != errCut || resp.ContentLength != test.length {
					t.Errorf("%d bytes, want %d; %v", len(got), test.want, err)
				}
				if err := resp.Body.Close(); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}
