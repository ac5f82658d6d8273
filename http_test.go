package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// get sends a request, over HTTP/1.1 or HTTP/2, and reads the answer.
func get(t *testing.T, server *httptest.Server, s *holdfast.Stack, method string, body io.Reader) (status int, text string, err error) {
	t.Helper()
	client := *server.Client()
	client.Transport = s.Transport(client.Transport)
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(all), nil
}

func serve(t *testing.T, http2 bool, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	if server.EnableHTTP2 = http2; http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// Requests go through each policy in its HTTP form: a 503 is repeated and counted, a POST goes out once, and somebody else's
// policy sees the failure without the caller losing the response.
func TestStackTransport(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2=", http2), func(t *testing.T) {
			var requests atomic.Int32
			server := serve(t, http2, func(w http.ResponseWriter, r *http.Request) {
				if n := requests.Add(1); n%3 != 0 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				fmt.Fprint(w, r.Method)
			})
			users := breaker.MustNew(breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1})
			slots := bulkhead.MustNew(bulkhead.Config{Limit: 10})
			watch := &watching{}
			s := holdfast.MustStack(retry.MustNew(retry.Config{BaseDelay: -1}), hedge.MustNew(hedge.Config{Delay: time.Hour, MaxHedges: 1}), users, watch, slots)
			if status, text, err := get(t, server, s, http.MethodGet, nil); status != 200 || text != "GET" || err != nil {
				t.Errorf("GET: %d %q, %v", status, text, err)
			}
			if status, text, err := get(t, server, s, http.MethodPost, strings.NewReader("once")); status != 503 || text != "POST" || err != nil {
				t.Errorf("POST: %d %q, %v", status, text, err)
			}
			if n := requests.Load(); n != 4 || watch.failures.Load() != 3 {
				t.Errorf("%d requests, %d failures seen by another policy, want 4 and 3", n, watch.failures.Load())
			}
			if b := users.Snapshot(); b.Successes != 1 || b.Failures != 3 {
				t.Errorf("breaker: %+v", b)
			}
			for slots.Snapshot().InUse != 0 { // what the hedge has dropped is drained beside the call; the test's own limit ends this
				runtime.Gosched()
			}
		})
	}
}

// watching counts failures, and lets all pass.
type watching struct{ failures atomic.Int32 }

func (w *watching) Run(ctx context.Context, fn func(context.Context) error) error {
	err := fn(ctx)
	if err != nil {
		w.failures.Add(1)
	}
	return err
}

// again is somebody's retry, which knows nothing of requests.
type again struct{}

func (again) Run(ctx context.Context, fn func(context.Context) error) error {
	if err := fn(ctx); err == nil {
		return nil
	}
	return fn(ctx)
}

// refusing lets nothing pass.
type refusing struct{}

func (refusing) Run(context.Context, func(context.Context) error) error { return errDown }

// A policy that is not ours cannot send a request twice; what it refuses closes the request's body.
func TestOtherRunnersOverHTTP(t *testing.T) {
	var requests atomic.Int32
	server := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if status, _, err := get(t, server, holdfast.MustStack(again{}), http.MethodPost, strings.NewReader("x")); status != 503 || err != nil || requests.Load() != 1 {
		t.Errorf("%d, %v after %d requests, want the one response", status, err, requests.Load())
	}
	body := &closing{Reader: strings.NewReader("x")}
	if _, _, err := get(t, server, holdfast.MustStack(refusing{}), http.MethodPost, body); !errors.Is(err, errDown) || !body.closed.Load() {
		t.Errorf("%v, body closed %v", err, body.closed.Load())
	}
	if status, _, err := get(t, server, nil, http.MethodGet, nil); status != 503 || err != nil {
		t.Errorf("no stack: %d, %v", status, err)
	}
}

type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error { c.closed.Store(true); return nil }

// On the server's side: what is refused is a 503 that says when to come back, and a breaker sees what was served.
func TestStackHandler(t *testing.T) {
	users := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2, OpenFor: time.Minute})
	slots := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	s := holdfast.MustStack(&watching{}, users, slots)
	served := 0
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, "served")
	}))
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := ask("/"); w.Code != 200 || w.Body.String() != "served" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	held, err := slots.TryAcquire()
	if err != nil {
		t.Fatal(err)
	}
	if w := ask("/"); w.Code != 503 || w.Header().Get("Retry-After") == "" || served != 1 {
		t.Errorf("full: %d %v", w.Code, w.Header())
	}
	held.Done(nil)
	if b := users.Snapshot(); b.Failures != 0 || b.Ignored != 1 {
		t.Errorf("what the bulkhead refused counts against the work: %+v", b)
	}
	ask("/bad")
	ask("/bad")
	if w := ask("/"); w.Code != 503 || w.Header().Get("Retry-After") == "" || served != 3 || users.State() != breaker.Open {
		t.Errorf("open: %d %v, served %d, %v", w.Code, w.Header(), served, users.State())
	}
	for name, s := range map[string]*holdfast.Stack{
		"retry": holdfast.MustStack(retry.MustNew(retry.Config{})), "hedge": holdfast.MustStack(hedge.MustNew(hedge.Config{})),
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), name+"(") {
					t.Errorf("%s: %v", name, r)
				}
			}()
			s.Handler(http.NotFoundHandler())
		}()
	}
}

// A group of targets is a layer: of functions by way of the context, of requests by its Transport.
func TestOneOf(t *testing.T) {
	var to [2]atomic.Int32
	var urls []failover.Target[*url.URL]
	for i := range to {
		server := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
			to[i].Add(1)
			if i == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, failover.Target[*url.URL]{Name: fmt.Sprint("server ", i), Value: u})
	}
	g := failover.MustNew(failover.Config[*url.URL]{Name: "servers", Targets: urls})
	s := holdfast.MustStack(breaker.MustNew(breaker.Config{}), holdfast.OneOf(g))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://anywhere.invalid/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Transport(nil).RoundTrip(req)
	if err != nil || resp.StatusCode != 200 || to[0].Load() != 1 || to[1].Load() != 1 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	v, err := holdfast.Do(t.Context(), s, func(ctx context.Context) (string, error) {
		u, ok := holdfast.Target[*url.URL](ctx)
		if !ok {
			return "", errors.New("no target")
		}
		if u.Host == urls[0].Value.Host {
			return "", errDown
		}
		return u.Host, nil
	})
	if v != urls[1].Value.Host || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if got, want := s.String(), "breaker(50% of 20 in 10s) → failover(2 of 2, ordered)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if d := s.Describe(); d.Calls != 3 || d.Layers[1].Kind != "failover" || d.Layers[1].Name != "servers" {
		t.Errorf("%+v", d)
	}
	if _, ok := holdfast.Target[int](t.Context()); ok {
		t.Error("a target where there is none")
	}
}
