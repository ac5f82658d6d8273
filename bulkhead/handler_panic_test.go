package bulkhead_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/bulkhead"
)

//go:noinline
func explode(value any) { panic(value) }

// A panic goes on to the server: the same value, with its own stack, when the place is back. http.ErrAbortHandler cuts the
// connection and is not logged.
func TestHandlerPanics(t *testing.T) {
	boom := new(int) // a pointer: only the very same value compares equal
	for wrap, c := range map[string]bulkhead.Config{"plain": {Limit: 1}, "adaptive": {Adaptive: &bulkhead.Adaptive{Max: 1}}} {
		for name, value := range map[string]any{"a value": boom, "an error": errors.New("boom"), "ErrAbortHandler": http.ErrAbortHandler} {
			for _, halfway := range []bool{false, true} {
				t.Run(wrap+"/"+name, func(t *testing.T) {
					eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
						b := bulkhead.MustNew(c)
						h := bulkhead.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if halfway {
								w.Write([]byte("half"))
								w.(http.Flusher).Flush()
							}
							if r.URL.Path == "/" {
								explode(value)
							}
						}))
						s := serve(func(w http.ResponseWriter, r *http.Request) {
							left := true
							defer func() {
								if !left {
									return
								}
								if !strings.Contains(string(debug.Stack()), "bulkhead_test.explode") {
									t.Error("the stack does not show where next panicked")
								}
								if b.Snapshot().InUse != 0 {
									t.Error("the place is not back")
								}
								got := recover()
								if got != value {
									t.Errorf("recovered %v, want the very value", got)
								}
								panic(got)
							}()
							h.ServeHTTP(w, r)
							left = false
						})
						for range 2 {
							if got := s.do(s.request(t, http.MethodPost, "/", nil)); got.err == nil {
								t.Errorf("%v %q: want the connection cut", got.Response, got.text)
							}
						}
						if got := s.get(t, "/next"); got.err != nil || got.StatusCode != 200 {
							t.Errorf("the next: %v, %v", got.Response, got.err)
						}
						if s := s.quiet(t, b, 3); s.Failures != 2 || s.Successes != 1 {
							t.Errorf("%+v", s)
						}
						await(func() bool {
							return value == http.ErrAbortHandler || strings.Count(s.log.String(), "panic serving") == 2
						})
						if got := s.log.String(); value == http.ErrAbortHandler && got != "" {
							t.Errorf("logged: %s", got)
						}
					})
				})
			}
		}
	}
}

// As a panic: the place goes back.
func TestHandlerGoexit(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	h := bulkhead.Handler(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }))
	over := make(chan bool)
	go func() {
		returned := false
		defer func() { over <- returned }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		returned = true
	}()
	if <-over {
		t.Error("the call returned")
	}
	if s := settled(t, b, 1); s.Failures != 1 {
		t.Errorf("%+v", s)
	}
}

// A callback that panics does so before there is a place, or when it is back.
func TestHandlerCallbacksPanic(t *testing.T) {
	boom := func(*http.Request) bool { panic("boom") }
	failing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	adaptive := &bulkhead.Adaptive{Max: 1, Overloaded: func(error) bool { panic("boom") }}
	for name, test := range map[string]struct {
		config bulkhead.Config
		calls  uint64
	}{
		"Exempt":          {bulkhead.Config{Limit: 1, Exempt: boom}, 0},
		"RequestPriority": {bulkhead.Config{Limit: 1, RequestPriority: func(*http.Request) bulkhead.Priority { panic("boom") }}, 0},
		"Overloaded":      {bulkhead.Config{Adaptive: adaptive}, 1},
	} {
		b := bulkhead.MustNew(test.config)
		for range 2 {
			got := panicOf(func() {
				bulkhead.Handler(b, failing).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			})
			if got != "boom" {
				t.Errorf("%s: %v", name, got)
			}
		}
		settled(t, b, 2*test.calls)
	}
	k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Total: 1})
	h := k.Handler(func(*http.Request) string { panic("boom") }, failing)
	if got := panicOf(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) }); got != "boom" {
		t.Errorf("key: %v", got)
	}
	settled(t, k.Total(), 0)
}

// A reverse proxy whose client goes in the middle of a body panics with http.ErrAbortHandler: nobody has failed.
func TestHandlerAroundAProxyWhoseClientGoes(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		origin := serve(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		})
		target, err := url.Parse(origin.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport, proxy.ErrorLog = origin.Client().Transport, origin.Config.ErrorLog
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		s := serve(bulkhead.Handler(b, proxy).ServeHTTP)
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := s.Client().Transport.RoundTrip(s.request(t, http.MethodGet, "/", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Read(make([]byte, 1))
		cancel()
		resp.Body.Close()
		if s := s.quiet(t, b, 1); s.Ignored != 1 {
			t.Errorf("%+v", s)
		}
	})
}
