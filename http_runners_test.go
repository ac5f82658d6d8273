package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
)

// limiting is somebody's time limit, as most write it: the context ends when Run returns.
type limiting struct{ limit time.Duration }

func (l limiting) Run(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, limiting{}, "of the runner"), l.limit)
	defer cancel()
	return fn(ctx)
}

// The body is read when such a policy has returned. Until the response is there its limit holds, as what it is; and its values
// are seen.
func TestBodyOutlivesRunner(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2=", http2), func(t *testing.T) {
			returned := make(chan struct{})
			server := serve(t, http2, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hangs" {
					<-r.Context().Done()
					return
				}
				w.(http.Flusher).Flush()
				<-returned
				io.WriteString(w, "the body")
			})
			send := func(path string, limit time.Duration) (*http.Response, error) {
				below := server.Client().Transport
				rt := holdfast.MustStack(limiting{limit}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
					if _, limited := r.Context().Deadline(); !limited || r.Context().Value(limiting{}) != "of the runner" {
						t.Error("the request is not under what the runner made of the context")
					}
					resp, err := below.RoundTrip(r)
					if err != nil && !errors.Is(r.Context().Err(), context.DeadlineExceeded) {
						t.Errorf("it ended with %v, want it to be seen as a limit", r.Context().Err())
					}
					return resp, err
				}))
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				return rt.RoundTrip(req)
			}
			resp, err := send("/", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			close(returned)
			if text, err := io.ReadAll(resp.Body); string(text) != "the body" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			resp.Body.Close()
			if resp, err := send("/hangs", 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, %v, want the runner's limit", resp, err)
			}
		})
	}
}

// TestRunnersCostNoGoroutine: to follow the context of a request that a Runner has one for needs none.
func TestRunnersCostNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goroutines := func() int {
			buf := make([]byte, 1<<20)
			return strings.Count(string(buf[:runtime.Stack(buf, true)]), "synctest bubble ")
		}
		var before, during int
		rt := holdfast.MustStack(limiting{time.Hour}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			before = goroutines()
			_, stop := context.WithCancel(r.Context()) // as net/http does
			defer stop()
			during = goroutines()
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
		}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stub.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if during != before {
			t.Errorf("%d goroutines more", during-before)
		}
	})
}

// hasty runs fn, and does not wait for it: it has begun when Run returns, or begins when the handler has answered.
type hasty struct{ begun bool }

// servingKey is for what a hasty runner and its handler tell each other.
type servingKey struct{}

type serving struct {
	begun    chan struct{} // closed by the handler below
	answered chan struct{} // closed when the handler above has returned
	late     chan error    // what a late fn returned
}

func (h hasty) Run(ctx context.Context, fn func(context.Context) error) error {
	s := ctx.Value(servingKey{}).(*serving)
	if h.begun {
		go fn(ctx)
		<-s.begun
		return errDown
	}
	go func() {
		<-s.answered
		s.late <- fn(ctx)
	}()
	return errDown
}

// A policy that runs fn beside itself, or does not wait for it, does not make a handler answer twice, or after its time.
func TestHandlerOfHastyRunners(t *testing.T) {
	for name, test := range map[string]struct {
		policy holdfast.Runner
		want   int
	}{
		"two at once":  {twice{}, http.StatusTeapot},
		"has begun":    {hasty{begun: true}, http.StatusTeapot},
		"begins late":  {hasty{}, http.StatusServiceUnavailable},
		"never begins": {refusing{}, http.StatusServiceUnavailable},
		"says it did":  {idle{}, http.StatusServiceUnavailable},
	} {
		var under atomic.Int32
		h := holdfast.MustStack(test.policy).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			under.Add(1)
			defer under.Add(-1)
			if _, ok := test.policy.(hasty); ok {
				close(r.Context().Value(servingKey{}).(*serving).begun)
			}
			for range 100 {
				runtime.Gosched() // the runner returns meanwhile
			}
			r.Pattern = "seen"
			w.WriteHeader(http.StatusTeapot)
		}))
		for range 20 {
			s := &serving{make(chan struct{}), make(chan struct{}), make(chan error, 1)}
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			r = r.WithContext(context.WithValue(r.Context(), servingKey{}, s))
			h.ServeHTTP(w, r)
			close(s.answered)
			if h, ok := test.policy.(hasty); ok && !h.begun {
				if err := <-s.late; err == nil {
					t.Errorf("%s: it was told that it went well", name)
				}
			}
			served := test.want == http.StatusTeapot
			if n := under.Load(); w.Code != test.want || n != 0 || served != (r.Pattern == "seen") {
				t.Errorf("%s: %d, %d still served, pattern %q; want %d", name, w.Code, n, r.Pattern, test.want)
			}
		}
	}
}

// idle does nothing, and says that it went well.
type idle struct{}

func (idle) Run(context.Context, func(context.Context) error) error { return nil }

// In a Transport a Fallback leaves no body behind: that which it takes the place of, that which came with an error.
func TestFallbackClosesBodies(t *testing.T) {
	for name, test := range map[string]struct {
		below   bool // a 503, else an error
		instead func(other *http.Response) (*http.Response, error)
		want    string // left open
	}{
		"another":                     {true, func(other *http.Response) (*http.Response, error) { return other, nil }, "other"},
		"another for an error":        {false, func(other *http.Response) (*http.Response, error) { return other, nil }, "other"},
		"none":                        {true, func(*http.Response) (*http.Response, error) { return nil, errDown }, "first"},
		"both":                        {true, func(other *http.Response) (*http.Response, error) { return other, errDown }, "first"},
		"both, for an error":          {false, func(other *http.Response) (*http.Response, error) { return other, errDown }, ""},
		"a panic":                     {true, func(*http.Response) (*http.Response, error) { panic("of fn") }, ""},
		"neither":                     {true, func(*http.Response) (*http.Response, error) { return nil, nil }, "first"},
		"neither, and there was none": {false, func(*http.Response) (*http.Response, error) { return nil, nil }, ""},
	} {
		first, other := &closing{Reader: strings.NewReader("x")}, &closing{Reader: strings.NewReader("x")}
		s := holdfast.MustStack(holdfast.Fallback(func(context.Context, error) (*http.Response, error) {
			return test.instead(&http.Response{StatusCode: 200, Body: other})
		}))
		rt := s.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
			if test.below {
				return &http.Response{StatusCode: 503, Body: first}, nil
			}
			return nil, errDown
		}))
		got := func() *http.Response {
			defer func() { recover() }()
			resp, _ := rt.RoundTrip(httptest.NewRequest(http.MethodGet, "http://service.test/", nil))
			return resp
		}()
		if test.below && first.closed.Load() == (test.want == "first") {
			t.Errorf("%s: first closed: %v", name, first.closed.Load())
		}
		if returned := got != nil; returned != (test.want != "") {
			t.Errorf("%s: %v", name, got)
		}
		if strings.HasPrefix(name, "both") && !other.closed.Load() {
			t.Errorf("%s: what came with an error is left open", name)
		}
	}
}

// A Fallback answers for what is below it, whose context ended before; nothing is run under that, and nobody is asked for who
// has cancelled.
func TestFallbackOfAnEndedContext(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	s := holdfast.MustStack(holdfast.Fallback(func(_ context.Context, err error) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return "instead of " + err.Error(), nil
	}))
	run := func(ctx context.Context) (string, error) {
		return holdfast.Do(ctx, s, func(context.Context) (string, error) { t.Error("run"); return "", nil })
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if v, err := run(ctx); v != "instead of fallback: context deadline exceeded" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if v, err := run(ctx); v != "" || !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("%q, %v, asked %d times", v, err, asked)
	}
}
