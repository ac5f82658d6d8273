package chaos_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// Switched off, and nil, the handler gets the very writer and request.
func TestHandlerOff(t *testing.T) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	called := 0
	next := http.HandlerFunc(func(gotW http.ResponseWriter, gotR *http.Request) {
		called++
		if gotW != http.ResponseWriter(w) || gotR != r {
			t.Error("another writer or request")
		}
	})
	off := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Truncate, Rate: 1}}})
	chaos.Handler(off, next).ServeHTTP(w, r)
	chaos.Handler(nil, next).ServeHTTP(w, r)
	chaos.Handler(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, When: func(context.Context) bool { return false }}), next).ServeHTTP(w, r)
	if called != 3 {
		t.Errorf("called %d times", called)
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil next does not panic")
		}
	}()
	chaos.Handler(off, nil)
}

// What ends a request does so over the wire, without the handler.
func TestHandlerEnds(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		for _, test := range []struct {
			fault chaos.Fault
			want  string // the status and the body; empty: an error
			reset bool
		}{
			{chaos.Fault{Kind: chaos.Failure}, "500 Internal Server Error\n", false},
			{chaos.Fault{Kind: chaos.Failure, RetryAfter: "99999999999999999999"}, "500 Internal Server Error\n", false},
			{chaos.Fault{Kind: chaos.Status, Status: 429, Body: "later"}, "429 later", false},
			{chaos.Fault{Kind: chaos.Status, Status: 204}, "204 ", false},
			{chaos.Fault{Kind: chaos.Panic}, "", false},
			{chaos.Fault{Kind: chaos.Reset}, "", true},
			{chaos.Fault{Kind: chaos.Truncate}, "", false},
		} {
			test.fault.Rate = 1
			s := serve(t, h2, chaos.Handler(on(t, test.fault), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if test.fault.Kind != chaos.Truncate {
					t.Errorf("%v: the handler is called", test.fault.Kind)
				}
				_, _ = io.WriteString(w, "whole")
			})))
			r := request(t, t.Context(), http.MethodPost, s.URL, strings.NewReader("body"))
			status, got, err := do(s.Client(), r)
			if test.want == "" {
				if err == nil {
					t.Errorf("%v: %d %q", test.fault.Kind, status, got)
				}
				if test.reset && !h2 && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("not reset: %v", err)
				}
				continue
			}
			if text := strings.TrimPrefix(http.StatusText(status), " "); err != nil || test.want[:3]+" "+got != test.want || text == "" {
				t.Errorf("%v: %d %q, %v", test.fault.Kind, status, got, err)
			}
		}
	})
}

// A HEAD has no body.
func TestHandlerHead(t *testing.T) {
	for _, test := range []struct {
		fault          chaos.Fault
		length, struck int
	}{
		{chaos.Fault{Kind: chaos.Status, Rate: 1, Body: "what"}, 4, 1},
		{chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Body: "what"}, 5, 0},
		{chaos.Fault{Kind: chaos.Truncate, Rate: 1}, 5, 0},
	} {
		in := on(t, test.fault)
		s := serve(t, false, chaos.Handler(in, page("whole")))
		resp, err := s.Client().Head(s.URL)
		if err != nil || resp.ContentLength != int64(test.length) || struck(in)[0] != uint64(test.struck) {
			t.Errorf("%v: %+v, %v", test.fault.Kind, resp, err)
		}
	}
}

// The response's body, over the wire: cut, reset, wrong.
func TestHandlerBodies(t *testing.T) {
	whole := text(20_000)
	eachProtocol(t, func(t *testing.T, h2 bool) {
		for name, next := range map[string]http.Handler{
			"chunked": page(whole),
			"length": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "20000")
				_, _ = io.Copy(w, strings.NewReader(whole))
			}),
			"flushed": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for i := range 20 {
					_, _ = io.WriteString(w, whole[i*1000:(i+1)*1000])
					w.(http.Flusher).Flush()
				}
			}),
		} {
			fetch := func(f chaos.Fault) (string, error) {
				f.Rate = 1
				s := serve(t, h2, chaos.Handler(on(t, f), next))
				_, got, err := get(t, s.Client(), s.URL)
				return got, err
			}
			if got, err := fetch(chaos.Fault{Kind: chaos.Truncate, Bytes: 7001}); got != whole[:7001] || err == nil {
				t.Errorf("%s, truncated: %d bytes, %v", name, len(got), err)
			}
			if got, err := fetch(chaos.Fault{Kind: chaos.Truncate, Bytes: 20_000}); got != whole || err != nil {
				t.Errorf("%s, not longer: %d bytes, %v", name, len(got), err)
			}
			if got, err := fetch(chaos.Fault{Kind: chaos.Reset, Bytes: 100}); len(got) > 100 || err == nil || !h2 && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s, reset: %d bytes, %v", name, len(got), err)
			}
			if got, err := fetch(chaos.Fault{Kind: chaos.Corrupt, Body: "<html>log in"}); got != "<html>log in" || err != nil {
				t.Errorf("%s, replaced: %d bytes, %v", name, len(got), err)
			}
			if got, err := fetch(chaos.Fault{Kind: chaos.Corrupt, Bytes: 100}); err != nil || changedBits(t, whole, got) != 200 {
				t.Errorf("%s, corrupt: %v", name, err)
			}
			if got, err := fetch(chaos.Fault{Kind: chaos.Slow, BytesPerSecond: 10 << 20}); got != whole || err != nil {
				t.Errorf("%s, slow: %d bytes, %v", name, len(got), err)
			}
		}
	})
	s := serve(t, false, chaos.Handler(on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Body: "never written"}), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	if _, got, err := get(t, s.Client(), s.URL); got != "never written" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A stream that is cut ends at once, and so does its handler, which waits for its context.
func TestHandlerCutsStream(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		over := make(chan error, 1)
		s := serve(t, h2, chaos.Handler(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 5}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "hello world")
			<-r.Context().Done()
			_, err := io.WriteString(w, "again")
			over <- err
		})))
		within(t, "stream", func() {
			if _, got, err := get(t, s.Client(), s.URL); got != "hello" || err == nil {
				t.Errorf("%q, %v", got, err)
			}
			if err := <-over; !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a Write after that: %v", err)
			}
		})
	})
}

// A black hole holds a request until its client has gone, with a body too; and lets it go on when it is switched off.
func TestHandlerBlackHole(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		for _, body := range []string{"", text(100_000)} {
			in := on(t, chaos.Fault{Kind: chaos.BlackHole, Rate: 1})
			ended, held := make(chan any, 1), make(chan struct{}, 1)
			inner := chaos.Handler(in, page("fine"))
			s := serve(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					p := recover()
					ended <- p
					if p != nil {
						panic(p)
					}
				}()
				held <- struct{}{}
				inner.ServeHTTP(w, r)
			}))
			ask := func(ctx context.Context) (string, error) {
				r := request(t, ctx, http.MethodPost, s.URL, strings.NewReader(body))
				if body == "" {
					r.Body, r.ContentLength = nil, 0
				}
				_, got, err := do(s.Client(), r)
				return got, err
			}
			within(t, "black hole", func() {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					<-held
					cancel()
				}()
				if _, err := ask(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("%d bytes: %v", len(body), err)
				}
				if p := <-ended; p != http.ErrAbortHandler {
					t.Errorf("%d bytes: ended with %v", len(body), p)
				}
				go func() {
					<-held
					awaitHeld(in) // before that it would not be struck
					in.Disable()
				}()
				got, err := ask(t.Context())
				if body == "" && (got != "fine" || err != nil) {
					t.Errorf("switched off: %q, %v", got, err)
				}
				if body != "" && got != "" {
					t.Errorf("switched off, its body swallowed: %q, %v", got, err)
				}
				<-ended
			})
		}
	})
}

// A request that a fault holds, and whose context a middleware ends, is cut: its client is there, and must not take an empty 200
// for an answer.
func TestHandlerDeadline(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		inner := chaos.Handler(on(t, chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: time.Hour}}), page("fine"))
		s := serve(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
			defer cancel()
			inner.ServeHTTP(w, r.WithContext(ctx))
		}))
		within(t, "deadline", func() {
			if status, got, err := get(t, s.Client(), s.URL); err == nil {
				t.Errorf("%d %q", status, got)
			}
		})
	})
}

// Faults of the body leave upgrades alone.
func TestHandlerUpgrade(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Connection", "Upgrade")
	var same atomic.Bool
	chaos.Handler(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1}), http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
		same.Store(got == http.ResponseWriter(w))
	})).ServeHTTP(w, r)
	if !same.Load() {
		t.Error("another writer")
	}
}

// What the handler puts into its request is seen outside.
func TestHandlerPattern(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/users/{id}", page("user"))
	r := httptest.NewRequest(http.MethodGet, "/users/7", nil)
	chaos.Handler(on(t, chaos.Fault{Kind: chaos.Slow, Rate: 1, BytesPerSecond: 1 << 30}), mux).ServeHTTP(httptest.NewRecorder(), r)
	if r.Pattern != "/users/{id}" {
		t.Errorf("%q", r.Pattern)
	}
}

// A request whose body does not end is let go all the same, when its context ends, and when it is switched off.
func TestHandlerSwallowsEndlessBody(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		for _, off := range []bool{false, true} {
			in := on(t, chaos.Fault{Kind: chaos.BlackHole, Rate: 1})
			inner, over := chaos.Handler(in, page("fine")), make(chan struct{})
			s := serve(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(over)
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				go func() {
					awaitHeld(in)
					if off {
						in.Disable()
					} else {
						cancel()
					}
				}()
				inner.ServeHTTP(w, r.WithContext(ctx))
			}))
			within(t, "endless body", func() {
				body, far := io.Pipe()
				go func() {
					_, _ = io.WriteString(far, "and so on")
					<-over
					far.Close() // net/http's client waits for it
				}()
				if status, got, err := do(s.Client(), request(t, t.Context(), http.MethodPost, s.URL, body)); err == nil {
					t.Errorf("%d %q", status, got)
				}
			})
		}
	})
}

// A stream is cut when the fault comes, not when its handler gets round to returning.
func TestHandlerCutsAtOnce(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		seen := make(chan struct{})
		s := serve(t, h2, chaos.Handler(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 5}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello world")
			<-seen
		})))
		within(t, "stream", func() {
			if _, got, err := get(t, s.Client(), s.URL); got != "hello" || err == nil {
				t.Errorf("%q, %v", got, err)
			}
			close(seen)
		})
	})
}

// Who is outside sees a handler that aborts, whatever its writer can do.
func TestHandlerAborts(t *testing.T) {
	for _, f := range []chaos.Fault{
		{Kind: chaos.Truncate, Rate: 1, Bytes: 5},
		{Kind: chaos.Reset, Rate: 1, Bytes: 5},
		{Kind: chaos.Reset, Rate: 1},
	} {
		w := httptest.NewRecorder()
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("%v: %v", f.Kind, p)
				}
			}()
			chaos.Handler(on(t, f), page("hello world")).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		}()
		if got := w.Body.String(); got != "hello"[:f.Bytes] {
			t.Errorf("%v: %q", f.Kind, got)
		}
	}
}

// A Failure says when to come back, in the very words of the Config.
func TestHandlerRetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, RetryAfter: "99999999999999999999"})
	chaos.Handler(in, page("fine")).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 || w.Header().Get("Retry-After") != "99999999999999999999" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// The handler's own buffer stays as it is, and it hears nothing of what becomes of its bytes.
func TestHandlerBuffer(t *testing.T) {
	w, whole := httptest.NewRecorder(), text(960)
	chaos.Handler(on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		own := []byte(whole)
		if n, err := w.Write(own); n != 960 || err != nil || string(own) != whole {
			t.Errorf("%d, %v, changed %v", n, err, string(own) != whole)
		}
		if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("what the recorder cannot do: %v", err)
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if changedBits(t, whole, w.Body.String()) != 15 {
		t.Error("not corrupted")
	}
}
