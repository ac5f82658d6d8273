package httpx_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestOnWriteHeader(t *testing.T) {
	broken := reader(func([]byte) (int, error) { return 0, errors.New("broken") })
	tests := []struct {
		name string
		use  func(w http.ResponseWriter)
		want []int
	}{
		{"nothing", func(http.ResponseWriter) {}, nil},
		{"the header only looked at", func(w http.ResponseWriter) { w.Header().Set("A", "b") }, nil},
		{"WriteHeader", func(w http.ResponseWriter) { w.WriteHeader(503) }, []int{503}},
		{"twice", func(w http.ResponseWriter) { w.WriteHeader(503); w.WriteHeader(200) }, []int{503}},
		{"early hints", func(w http.ResponseWriter) { w.WriteHeader(103) }, nil},
		{"early hints, then 404", func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(100); w.WriteHeader(404) }, []int{404}},
		{"101", func(w http.ResponseWriter) { w.WriteHeader(101) }, []int{101}},
		{"Write", func(w http.ResponseWriter) { fmt.Fprint(w, "x") }, []int{200}},
		{"Write of nothing", func(w http.ResponseWriter) { _, _ = w.Write(nil) }, []int{200}},
		{"WriteString", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") }, []int{200}},
		{"WriteHeader, then Write", func(w http.ResponseWriter) { w.WriteHeader(500); fmt.Fprint(w, "x") }, []int{500}},
		{"Flush", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, []int{200}},
		{"Flush of a controller", func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, []int{200}},
		{"Copy", func(w http.ResponseWriter) { _, _ = io.Copy(w, io.LimitReader(strings.NewReader("x"), 9)) }, []int{200}},
		{"Copy of nothing", func(w http.ResponseWriter) { _, _ = io.Copy(w, io.LimitReader(strings.NewReader(""), 9)) }, nil},
		{"Copy that fails, then 500", func(w http.ResponseWriter) { _, _ = io.Copy(w, broken); w.WriteHeader(500) }, []int{500}},
		{"deadlines", func(w http.ResponseWriter) {
			rc := http.NewResponseController(w)
			if err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}), rc.EnableFullDuplex()); err != nil {
				t.Error(err)
			}
		}, nil},
	}
	protocols(t, func(t *testing.T, h2 bool) {
		for _, tt := range tests {
			if h2 && tt.name == "101" {
				continue // HTTP/2 has none
			}
			t.Run(tt.name, func(t *testing.T) {
				var got []int
				s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) {
					tt.use(httpx.OnWriteHeader(w, func(status int, h http.Header) {
						got = append(got, status)
						h.Set("X-Hook", "ran")
					}))
				})
				s.Config.ErrorLog = quiet // "superfluous" is meant
				resp := s.get(t)
				resp.Body.Close()
				s.Close() // the handler has returned
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("before was called with %v, want %v", got, tt.want)
				}
				if sent := resp.Header.Get("X-Hook") == "ran"; sent != (tt.want != nil) {
					t.Errorf("the hook's header was sent: %t", sent)
				}
				if len(tt.want) > 0 && resp.StatusCode != tt.want[0] {
					t.Errorf("the client got %s", resp.Status)
				}
			})
		}
	})
}

// The wrapped writers of real servers can do what the bare ones can: no less, or
// streams and WebSockets fail; and no more, or handlers try what must fail.
func TestOnWriteHeaderOnRealServers(t *testing.T) {
	protocols(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) {
			wrapped := httpx.OnWriteHeader(w, func(int, http.Header) {})
			if got, want := abilities(wrapped), abilities(w); got != want {
				t.Errorf("%T can %v, wrapped %v", w, want, got)
			}
			for _, w := range []http.ResponseWriter{w, wrapped} {
				if _, ok := w.(io.StringWriter); !ok {
					t.Errorf("%T is no StringWriter", w)
				}
				if _, ok := w.(interface{ FlushError() error }); !ok {
					t.Errorf("%T has no FlushError", w)
				}
			}
			if got := wrapped.(interface{ Unwrap() http.ResponseWriter }).Unwrap(); got != w {
				t.Errorf("Unwrap is a %T", got)
			}
		})
		s.get(t).Body.Close()
	})
}

// The hints must reach the client as they are; only the final header is the hook's.
func TestOnWriteHeaderSendsHints(t *testing.T) {
	protocols(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, func(w http.ResponseWriter, _ *http.Request) {
			w = httpx.OnWriteHeader(w, func(_ int, h http.Header) { h.Set("X-Hook", "ran") })
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
		})
		var hints []textproto.MIMEHeader
		req := request(t, http.MethodGet, s.URL)
		resp := s.send(t, req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints = append(hints, h); return nil },
		})))
		resp.Body.Close()
		if len(hints) != 1 || hints[0].Get("Link") == "" || hints[0].Get("X-Hook") != "" || resp.Header.Get("X-Hook") != "ran" {
			t.Errorf("hints %v, final %v", hints, resp.Header)
		}
	})
}

func TestOnWriteHeaderFullDuplex(t *testing.T) {
	protocols(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, func(w http.ResponseWriter, r *http.Request) {
			w = httpx.OnWriteHeader(w, func(int, http.Header) {})
			rc := http.NewResponseController(w)
			if err := rc.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			w.Header().Set("Trailer", "X-Lines")
			if err := rc.Flush(); err != nil {
				t.Error(err)
			}
			in, n := bufio.NewReader(r.Body), 0
			for ; ; n++ {
				line, err := in.ReadString('\n')
				if err != nil {
					break
				}
				fmt.Fprint(w, line)
				w.(http.Flusher).Flush()
			}
			w.Header().Set("X-Lines", fmt.Sprint(n))
		})
		r, out := io.Pipe()
		req := request(t, http.MethodPost, s.URL)
		req.Body = r
		resp := s.send(t, req) // while the body is still being sent
		converse(t, struct {
			io.Reader
			io.Writer
		}{resp.Body, out})
		out.Close()
		if _, err := io.ReadAll(resp.Body); err != nil || resp.Trailer.Get("X-Lines") != "2" {
			t.Errorf("%v, trailer %v", err, resp.Trailer)
		}
		resp.Body.Close()
	})
}

func TestOnWriteHeaderHijack(t *testing.T) {
	calls := 0
	s := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w = httpx.OnWriteHeader(w, func(int, http.Header) { calls++ })
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		conn.Close()
		if _, err := w.Write([]byte("late")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Write after Hijack: %v", err)
		}
	})
	s.Config.ErrorLog = quiet
	if resp := s.get(t); resp.StatusCode != 204 {
		t.Error(resp.Status)
	}
	s.Close()
	if calls != 0 {
		t.Errorf("before was called %d times for a connection that is the handler's", calls)
	}
}

// A middleware between that has only Unwrap: the controller would find the
// server's Flush through it, and the header would be written unseen.
func TestOnWriteHeaderSeesAFlushBelow(t *testing.T) {
	type unwrapper interface{ Unwrap() http.ResponseWriter }
	rec := httptest.NewRecorder()
	calls := 0
	w := httpx.OnWriteHeader(struct {
		http.ResponseWriter
		unwrapper
	}{rec, inner{rec}}, func(int, http.Header) { calls++ })
	if _, ok := w.(http.Flusher); ok {
		t.Error("a Flusher, though the one below is none")
	}
	if err := http.NewResponseController(w).Flush(); err != nil || calls != 1 || !rec.Flushed {
		t.Errorf("Flush: %v, before called %d times, flushed %t", err, calls, rec.Flushed)
	}
}

type inner struct{ w http.ResponseWriter }

func (i inner) Unwrap() http.ResponseWriter { return i.w }

func TestOnWriteHeaderCannotFlushWhatCannot(t *testing.T) {
	calls := 0
	w := httpx.OnWriteHeader(bare{}, func(int, http.Header) { calls++ })
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) || calls != 0 {
		t.Errorf("Flush: %v, before called %d times", err, calls)
	}
}

// sendfile needs the source itself, not something around it.
func TestOnWriteHeaderHandsTheSourceOn(t *testing.T) {
	var got io.Reader
	w := httpx.OnWriteHeader(struct {
		*httptest.ResponseRecorder
		from
	}{httptest.NewRecorder(), func(src io.Reader) (int64, error) { got = src; return io.Copy(io.Discard, src) }}, func(int, http.Header) {})
	src := strings.NewReader(strings.Repeat("x", 2000))
	n, err := w.(io.ReaderFrom).ReadFrom(src)
	if n != 2000 || err != nil || got != io.Reader(src) {
		t.Errorf("ReadFrom = %d, %v from a %T", n, err, got)
	}

	w = httpx.OnWriteHeader(w, func(int, http.Header) {})
	if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("short")); n != 5 || err != nil {
		t.Errorf("ReadFrom of a short one = %d, %v", n, err) // io.Copy would hand io.EOF on
	}
}

type from func(io.Reader) (int64, error)

func (f from) ReadFrom(src io.Reader) (int64, error) { return f(src) }

// A panicking hook, and one that writes, are called once.
func TestOnWriteHeaderHookMisbehaves(t *testing.T) {
	calls := 0
	var w http.ResponseWriter
	w = httpx.OnWriteHeader(httptest.NewRecorder(), func(int, http.Header) {
		calls++
		fmt.Fprint(w, "from the hook")
		panic("hook")
	})
	for range 2 {
		func() {
			defer func() { _ = recover() }()
			w.WriteHeader(503)
		}()
	}
	if calls != 1 {
		t.Errorf("before was called %d times", calls)
	}
}

// http.MaxBytesReader cannot see the server's writer through the wrap. Outside it
// works as ever; inside the limit holds, and too much left over still costs the
// client its connection.
func TestOnWriteHeaderAndMaxBytes(t *testing.T) {
	hook := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			next(httpx.OnWriteHeader(w, func(int, http.Header) {}), r)
		}
	}
	read := func(w http.ResponseWriter, r *http.Request) {
		var tooLarge *http.MaxBytesError
		if _, err := io.ReadAll(r.Body); !errors.As(err, &tooLarge) {
			t.Errorf("read: %v", err)
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}
	limit := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			next(w, r)
		}
	}
	tests := []struct {
		name   string
		serve  http.HandlerFunc
		size   int
		closes bool
	}{
		{"bare", limit(read), 1 << 10, true},
		{"outside", limit(hook(read)), 1 << 10, true},
		{"inside, unwrapped", hook(func(w http.ResponseWriter, r *http.Request) {
			limit(func(_ http.ResponseWriter, r *http.Request) { read(w, r) })(w.(interface{ Unwrap() http.ResponseWriter }).Unwrap(), r)
		}), 1 << 10, true},
		{"inside, a little too much", hook(limit(read)), 1 << 10, false}, // the documented difference
		{"inside, far too much", hook(limit(read)), 1 << 20, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, false, tt.serve)
			req := request(t, http.MethodPost, s.URL)
			req.Body = io.NopCloser(io.LimitReader(strings.NewReader(strings.Repeat("x", tt.size)), int64(tt.size)))
			resp := s.send(t, req)
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge || resp.Close != tt.closes {
				t.Errorf("%s, Connection: close %t, want %t", resp.Status, resp.Close, tt.closes)
			}
		})
	}
}
