package bulkhead_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// wraps are the ways in which a handler can be under a bulkhead, and none.
var wraps = map[string]func(http.Handler) http.Handler{
	"bare":  func(next http.Handler) http.Handler { return next },
	"plain": func(next http.Handler) http.Handler { return under(bulkhead.Config{Limit: 100}, next) },
	"adaptive": func(next http.Handler) http.Handler {
		return under(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Initial: 100}}, next)
	},
	"adaptive twice": func(next http.Handler) http.Handler {
		c := bulkhead.Config{Adaptive: &bulkhead.Adaptive{Initial: 100}}
		return under(c, under(c, next))
	},
}

func under(c bulkhead.Config, next http.Handler) http.Handler {
	return bulkhead.Handler(bulkhead.MustNew(c), next)
}

// transcript is all that a client gets to see of an exchange, but for the time.
func transcript(s *site, r *http.Request) string {
	var early []string
	got := s.do(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
			early = append(early, fmt.Sprint(status, h))
			return nil
		},
	})))
	if got.Response == nil {
		return "no answer"
	}
	got.Header.Del("Date")
	end := "whole"
	if got.err != nil {
		end = "broken off"
	}
	return fmt.Sprint(early, got.Status, got.Proto, got.Header, got.ContentLength, got.Close, got.TransferEncoding, got.text, end, got.Trailer)
}

// For what a handler does the client cannot tell whether it is under a bulkhead, adaptive or not.
func TestHandlerIsNotToBeTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(file, []byte(strings.Repeat("page", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	type exchange struct {
		method, body string
		do           func(w http.ResponseWriter, r *http.Request)
	}
	pages := map[string]exchange{
		"nothing":          {"GET", "", func(http.ResponseWriter, *http.Request) {}},
		"text":             {"GET", "", served},
		"to HEAD":          {"HEAD", "", served},
		"404":              {"GET", "", http.NotFound},
		"204":              {"GET", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		"304":              {"GET", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }},
		"two WriteHeaders": {"GET", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418); w.WriteHeader(200) }},
		"its own 503":      {"GET", "", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }},
		"echo":             {"POST", "hello", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }},
		"length": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
		}},
		"longer than said": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abcd")
		}},
		"shorter than said": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "ab")
		}},
		"a file": {"GET", "", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }},
		"early hints": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			w.Header().Del("Link")
			w.WriteHeader(202)
		}},
		"trailers": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Sum")
			io.WriteString(w, "text")
			w.Header().Set("Sum", "42")
			w.Header().Set(http.TrailerPrefix+"Late", "43")
		}},
		"flushed": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "one")
			w.(http.Flusher).Flush()
			io.WriteString(w, "two")
		}},
		"a controller": {"POST", "hello", func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			soon := time.Now().Add(time.Hour)
			err := errors.Join(c.SetReadDeadline(soon), c.SetWriteDeadline(soon), c.EnableFullDuplex(), c.Flush())
			fmt.Fprintln(w, err)
			io.Copy(w, r.Body)
		}},
		"a deadline that is over": {"POST", "hello", func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second))
			io.WriteString(w, "text")
		}},
		"copied": {"GET", "", func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(neverEnding('x'), 100_000)) }},
		"it aborts": {"POST", "hello", func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}},
		"it aborts in the middle": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		"it panics": {"POST", "hello", func(http.ResponseWriter, *http.Request) { panic("boom") }},
		"push": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			if p, ok := w.(http.Pusher); ok {
				fmt.Fprint(w, p.Push("/style.css", nil))
			}
		}},
		"hijacked": {"POST", "hello", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				fmt.Fprint(w, err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 299 By Hand\r\nContent-Length: 2\r\n\r\nok")
		}},
		"what the writer can": {"GET", "", func(w http.ResponseWriter, _ *http.Request) {
			_, f := w.(http.Flusher)
			_, h := w.(http.Hijacker)
			_, p := w.(http.Pusher)
			_, r := w.(io.ReaderFrom)
			_, s := w.(io.StringWriter)
			_, c := w.(interface{ CloseNotify() <-chan bool })
			_, e := w.(interface{ FlushError() error })
			fmt.Fprintln(w, f, h, p, r, s, c, e)
		}},
		"what the request says": {"POST", "hello", func(w http.ResponseWriter, r *http.Request) {
			_, server := r.Context().Value(http.ServerContextKey).(*http.Server)
			fmt.Fprintln(w, r.Method, r.URL, r.Header, r.ContentLength, r.Trailer, server)
		}},
		"a small body too large": {"POST", "hello", func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 2))
			var large *http.MaxBytesError
			fmt.Fprintln(w, errors.As(err, &large))
		}},
	}
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for name, p := range pages {
			said := func(wrap string) string {
				s := serve(wraps[wrap](http.HandlerFunc(p.do)).ServeHTTP)
				return transcript(s, s.request(t, p.method, "/", strings.NewReader(p.body)))
			}
			bare := said("bare")
			for wrap := range wraps {
				if got := said(wrap); got != bare {
					t.Errorf("%s, %s:\n%s\nbare:\n%s", name, wrap, got, bare)
				}
			}
		}
	})
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// Who is not adaptive leaves the writer alone, and the request too.
func TestHandlerPassesTheVeryWriter(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for name, c := range map[string]bulkhead.Config{
			"limit": {Limit: 1}, "queue": {Limit: 1, Queue: 1}, "rate": {Limit: 1, Rate: 1}, "no spans": {Limit: 1, NoSpans: true},
		} {
			var inner http.ResponseWriter
			var request *http.Request
			h := under(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner, request = w, r }))
			s := serve(func(w http.ResponseWriter, r *http.Request) {
				if h.ServeHTTP(w, r); inner != w || request != r {
					t.Errorf("%s: next got a %T, the server's is a %T; the same request: %t", name, inner, w, request == r)
				}
			})
			if got := s.get(t, "/"); got.err != nil || got.StatusCode != 200 {
				t.Errorf("%v, %v", got.Response, got.err)
			}
		}
	})
}

// nowhere is a writer that does nothing.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header       { return w.header }
func (nowhere) WriteHeader(int)             {}
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// A request that has its place at once costs no allocation, in neither direction.
func TestHTTPAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	h, w := bulkhead.Handler(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), nowhere{}
	if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("Handler: %v allocations", n)
	}
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	rt := bulkhead.Transport(b, roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil }))
	if n := testing.AllocsPerRun(1000, func() { rt.RoundTrip(r) }); n != 0 {
		t.Errorf("Transport: %v allocations", n)
	}
}

// Who is not adaptive lets MaxBytesReader close the connection of an upload that is too large. (The adaptive writer cannot,
// as the documentation says: the server then reads on for a while.)
func TestHandlerMaxBytes(t *testing.T) {
	for wrap, closes := range map[string]bool{"bare": true, "plain": true} {
		s := newSite(t, false, wraps[wrap](http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10)); err != nil {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			}
		})).ServeHTTP)
		got := s.do(s.request(t, http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 1000))))
		if got.err != nil || got.StatusCode != 413 || got.Close != closes {
			t.Errorf("%s: %v, %v", wrap, got.Response, got.err)
		}
	}
}

// Lines go to and fro while neither side has ended, and the trailer comes.
func TestHandlerFullDuplex(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for wrap := range wraps {
			s := serve(wraps[wrap](http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c := http.NewResponseController(w)
				w.Header().Set("Trailer", "Lines")
				if err := errors.Join(c.EnableFullDuplex(), c.Flush()); err != nil {
					t.Error(err)
				}
				in, n := bufio.NewScanner(r.Body), 0
				for ; in.Scan(); n++ {
					fmt.Fprintln(w, "echo", in.Text())
					w.(http.Flusher).Flush()
				}
				w.Header().Set("Lines", fmt.Sprint(n))
			})).ServeHTTP)
			r, out := io.Pipe()
			resp, err := s.Client().Transport.RoundTrip(s.request(t, http.MethodPost, "/", r))
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(resp.Body)
			for _, word := range []string{"one", "two"} {
				io.WriteString(out, word+"\n")
				if got, err := in.ReadString('\n'); got != "echo "+word+"\n" {
					t.Fatalf("%s: %q, %v", wrap, got, err)
				}
			}
			out.Close()
			if _, err := io.Copy(io.Discard, in); err != nil || resp.Trailer.Get("Lines") != "2" {
				t.Errorf("%s: %v, trailer %v", wrap, err, resp.Trailer)
			}
			resp.Body.Close()
		}
	})
}

// A stream of events: each comes when it is sent, and the place is held as long, whichever way the handler takes note that
// the client has gone.
func TestHandlerEvents(t *testing.T) {
	for name, leave := range map[string]func(){"returns": func() {}, "aborts": func() { panic(http.ErrAbortHandler) }} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
				b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
				s := serve(bulkhead.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					for i := range 2 {
						fmt.Fprintf(w, "data: %d\n\n", i)
						w.(http.Flusher).Flush()
					}
					<-r.Context().Done()
					leave()
				})).ServeHTTP)
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := s.Client().Transport.RoundTrip(s.request(t, http.MethodGet, "/", nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got := make([]byte, len("data: 0\n\ndata: 1\n\n"))
				if _, err := io.ReadFull(resp.Body, got); err != nil {
					t.Fatal(err)
				}
				if got := s.get(t, "/"); got.StatusCode != 503 || b.Snapshot().InUse != 1 {
					t.Errorf("beside the stream: %v", got.Response)
				}
				cancel()
				if s := s.quiet(t, b, 2); s.Ignored != 1 || s.Calls != (bulkhead.Calls{}) {
					t.Errorf("%+v: how long a client listened says nothing", s)
				}
			})
		})
	}
}

// An upgraded connection has its place while its handler runs, through the very connection.
func TestHandlerUpgrade(t *testing.T) {
	for wrap, c := range map[string]bulkhead.Config{"plain": {Limit: 1}, "adaptive": {Adaptive: &bulkhead.Adaptive{Max: 1}}} {
		b := bulkhead.MustNew(c)
		s := newSite(t, false, bulkhead.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		})).ServeHTTP)
		resp, err := s.Client().Transport.RoundTrip(s.request(t, http.MethodGet, "/", nil, "Connection", "keep-alive, Upgrade", "Upgrade", "echo"))
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%s: %v, %v", wrap, resp, err)
		}
		if got := s.get(t, "/"); got.StatusCode != 503 {
			t.Errorf("%s: beside the connection: %v", wrap, got.Response)
		}
		io.WriteString(resp.Body.(io.Writer), "hello\n")
		if got, _ := io.ReadAll(resp.Body); string(got) != "echo hello\n" {
			t.Errorf("%s: %q", wrap, got)
		}
		resp.Body.Close()
		if s := s.quiet(t, b, 2); s.Successes != 1 || s.Calls != (bulkhead.Calls{}) {
			t.Errorf("%s: %+v: how long two sides talked says nothing", wrap, s)
		}
	}
}

// countedBody is one that counts.
type countedBody struct {
	io.Reader
	reads, closes int
}

func (b *countedBody) Read(p []byte) (int, error) { b.reads++; return b.Reader.Read(p) }
func (b *countedBody) Close() error               { b.closes++; return nil }

// A rejected upload is not read: a client that asks first is spared to send it.
func TestHandlerRefusesUploadUnread(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	defer taken(t, b)()
	h := bulkhead.Handler(b, http.HandlerFunc(served))
	body := &countedBody{Reader: strings.NewReader("hello")}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", body)); w.Code != 503 || body.reads+body.closes != 0 {
		t.Errorf("%d; %d reads, %d closes", w.Code, body.reads, body.closes)
	}
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		s := serve(h.ServeHTTP)
		s.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
		asked := &countedBody{Reader: neverEnding('x')}
		r := s.request(t, http.MethodPost, "/", asked, "Expect", "100-continue")
		got := s.do(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got100Continue: func() { t.Error("the server said 100 Continue") },
		})))
		if got.err != nil || got.StatusCode != 503 || got.after() < 1 {
			t.Errorf("%v, %v", got.Response, got.err)
		}
		if asked.reads != 0 {
			t.Errorf("%d reads of the upload", asked.reads)
		}
	})
}

// Raw, as a client without a library speaks: it may go on with the next request on the same connection.
func TestHandlerRefusesOnTheWire(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	free := taken(t, b)
	s := newSite(t, false, bulkhead.Handler(b, http.HandlerFunc(served)).ServeHTTP)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i, want := range []int{503, 503, 503, 200} {
		if i == 3 {
			free()
		}
		method := []string{"GET", "HEAD", "POST", "GET"}[i]
		fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", method)
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			t.Errorf("%s: %v, %v", method, resp, err)
		}
	}
}

// The pattern and the wildcards of a mux are there on both sides, and the files of a form are removed when the request is
// over, though next had a copy of the request.
func TestHandlerAroundAndInsideOfAMux(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for wrap := range wraps {
		eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
			left := make(chan []os.DirEntry, 1)
			inside := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.Pattern != "POST /users/{id}" || r.PathValue("id") != "7" {
					t.Errorf("inside: %q, %q", r.Pattern, r.PathValue("id"))
				}
				if err := r.ParseMultipartForm(0); err != nil {
					t.Error(err)
				}
				files, _ := os.ReadDir(temp)
				left <- files
			})
			mux := http.NewServeMux()
			mux.Handle("POST /users/{id}", wraps[wrap](inside))
			around := wraps[wrap](mux)
			s := serve(func(w http.ResponseWriter, r *http.Request) {
				if around.ServeHTTP(w, r); r.Pattern != "POST /users/{id}" {
					t.Errorf("%s: outside: %q", wrap, r.Pattern)
				}
			})
			out := new(strings.Builder)
			form := multipart.NewWriter(out)
			part, _ := form.CreateFormFile("file", "name")
			io.Copy(part, io.LimitReader(neverEnding('x'), 100_000))
			form.Close()
			got := s.do(s.request(t, http.MethodPost, "/users/7", strings.NewReader(out.String()),
				"Content-Type", form.FormDataContentType(), bulkhead.PriorityHeader, "critical"))
			if got.err != nil || got.StatusCode != 200 || len(<-left) == 0 {
				t.Fatalf("%v, %v: want a file", got.Response, got.err)
			}
			s.Close()
			if files, err := os.ReadDir(temp); err != nil || len(files) != 0 {
				t.Errorf("%s: left %v, %v", wrap, files, err)
			}
		})
	}
}

// TestHandlerUnderTimeoutHandler: that has no writer to hijack, nor deadlines; its client gets its answer.
func TestHandlerUnderTimeoutHandler(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		free := taken(t, b)
		s := serve(http.TimeoutHandler(bulkhead.Handler(b, http.HandlerFunc(served)), 10*time.Millisecond, "took too long").ServeHTTP)
		if got := s.get(t, "/"); got.err != nil || got.StatusCode != 503 {
			t.Errorf("%v, %v", got.Response, got.err)
		}
		await(func() bool { s := b.Snapshot(); return s.Ignored+s.Refused == 1 }) // in a goroutine of the TimeoutHandler's
		free()
		s.quiet(t, b, 2)
	})
}
