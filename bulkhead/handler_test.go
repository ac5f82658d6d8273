package bulkhead_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// site is a real server on loopback, and a client of it.
type site struct {
	*httptest.Server
	log     lines        // what the server logs: panics
	running atomic.Int64 // handlers
}

type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// eachProtocol runs a test over HTTP/1.1 and HTTP/2.
func eachProtocol(t *testing.T, test func(t *testing.T, serve func(http.HandlerFunc) *site)) {
	t.Helper()
	for _, two := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[two], func(t *testing.T) {
			test(t, func(h http.HandlerFunc) *site { return newSite(t, two, h) })
		})
	}
}

func newSite(t *testing.T, two bool, h http.HandlerFunc) *site {
	s := &site{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.running.Add(1)
		defer s.running.Add(-1)
		h(w, r)
	}))
	s.Config.ErrorLog = log.New(&s.log, "", 0)
	s.EnableHTTP2 = two
	if two {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections() // Close waits for handlers
		s.Close()
	})
	return s
}

// request is one to the site. The header is in pairs.
func (s *site) request(t *testing.T, method, path string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// reply is an answer that was read to its end.
type reply struct {
	*http.Response
	text string
	err  error // instead of it, or in the middle of its body
}

func (s *site) do(r *http.Request) reply {
	resp, err := s.Client().Transport.RoundTrip(r)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp, string(text), err}
}

func (s *site) get(t *testing.T, path string, header ...string) reply {
	t.Helper()
	return s.do(s.request(t, http.MethodGet, path, nil, header...))
}

// after are the seconds of Retry-After; -1 if it makes no sense.
func (r reply) after() int {
	if r.Response == nil || len(r.Header["Retry-After"]) != 1 {
		return -1
	}
	n, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil {
		return -1
	}
	return n
}

// await returns when done is true. What is waited for is the work of goroutines that are under way.
func await(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

// served is a handler for when only that it is called matters.
func served(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") }

// taken takes the one place of b.
func taken(t *testing.T, b *bulkhead.Bulkhead) (free func()) {
	t.Helper()
	p, err := b.TryAcquire()
	if err != nil {
		t.Fatal(err)
	}
	return func() { p.Done(nil) }
}

// quiet checks that nobody is left in b, and how many calls it has counted. The client may know before the handler has
// returned.
func (s *site) quiet(t *testing.T, b *bulkhead.Bulkhead, calls uint64) bulkhead.Snapshot {
	t.Helper()
	await(func() bool { return s.running.Load() == 0 })
	return settled(t, b, calls)
}

// settled is quiet where nothing is under way any more.
func settled(t *testing.T, b *bulkhead.Bulkhead, calls uint64) bulkhead.Snapshot {
	t.Helper()
	s := b.Snapshot()
	if all := s.Successes + s.Failures + s.Ignored + s.Refused; s.InUse != 0 || s.Queued != 0 || all != calls {
		t.Errorf("%d calls, want %d, and none left: %+v", all, calls, s)
	}
	return s
}

func TestHandlerRefuses(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "confidential", Limit: 1})
		s := serve(bulkhead.Handler(b, http.HandlerFunc(served)).ServeHTTP)
		if got := s.get(t, "/"); got.StatusCode != 200 || got.text != "served" || got.after() != -1 {
			t.Fatalf("while there is a place: %v %q", got.Response, got.text)
		}
		await(func() bool { return b.Snapshot().InUse == 0 })
		free := taken(t, b)
		seen := map[int]int{}
		const n = 60
		for range n {
			got := s.get(t, "/")
			if got.err != nil || got.StatusCode != 503 || got.text != "Service Unavailable\n" || got.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%v %q, %v", got.Response, got.text, got.err)
			}
			seen[got.after()]++
		}
		if seen[1]+seen[2] != n || seen[1] == 0 || seen[2] == 0 {
			t.Errorf("Retry-After was %v, want 1 and 2", seen)
		}
		if got := s.do(s.request(t, http.MethodHead, "/", nil)); got.err != nil || got.StatusCode != 503 || got.after() < 1 || got.text != "" {
			t.Errorf("HEAD: %v %q, %v", got.Response, got.text, got.err)
		}
		free()
		if got := s.get(t, "/"); got.StatusCode != 200 {
			t.Errorf("when the place is back: %v", got.Response)
		}
		s.quiet(t, b, 1+1+n+1+1)
	})
}

// The reason says which status it is, and how long to stay away.
func TestHandlerRefusesByReason(t *testing.T) {
	for name, test := range map[string]struct {
		config      bulkhead.Config
		reason      bulkhead.Reason
		full        bool // the place is taken
		status      int
		least, most int // of Retry-After
	}{
		"full":                               {bulkhead.Config{Limit: 1}, bulkhead.ReasonFull, true, 503, 1, 2},
		"MaxWait":                            {bulkhead.Config{Limit: 1, Queue: 1, MaxWait: time.Microsecond}, bulkhead.ReasonMaxWait, true, 503, 1, 2},
		"rate":                               {bulkhead.Config{Limit: 2, Rate: 0.1, Burst: 1}, bulkhead.ReasonRate, false, 429, 9, 20},
		"rate, but there is no place either": {bulkhead.Config{Limit: 1, Rate: 0.1, Burst: 1}, bulkhead.ReasonFull, true, 503, 1, 20},
		"rate, with a queue":                 {bulkhead.Config{Limit: 2, Queue: 1, MaxWait: time.Second, Rate: 0.1, Burst: 1}, bulkhead.ReasonRate, false, 429, 9, 20},
		"a token in 30 years":                {bulkhead.Config{Limit: 2, Rate: 1e-9, Burst: 1}, bulkhead.ReasonRate, false, 429, 3600, 7200},
		"hardly ever a token":                {bulkhead.Config{Limit: 2, Rate: 1e-300, Burst: 1}, bulkhead.ReasonRate, false, 429, 3600, 7200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), -1)
				defer cancel()
				b := bulkhead.MustNew(test.config)
				free := taken(t, b) // and the token
				if !test.full {
					free()
				}
				before := b.Snapshot()
				w := httptest.NewRecorder()
				bulkhead.Handler(b, http.HandlerFunc(served)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
				got := reply{Response: w.Result()}
				if got.StatusCode != test.status || got.after() < test.least || got.after() > test.most {
					t.Errorf("%v", got.Response)
				}
				if s := b.Snapshot(); s.RefusedBy[test.reason] != 1 || s.Refused != before.Refused+1 {
					t.Errorf("want %v: %+v", test.reason, s)
				}
				// The server's own deadline is over: nothing was done, and the client is there to be told.
				w = httptest.NewRecorder()
				bulkhead.Handler(b, http.HandlerFunc(served)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
				if got := (reply{Response: w.Result()}); got.StatusCode != 503 || got.after() < 1 || got.after() > 2 {
					t.Errorf("past the deadline: %v", got.Response)
				}
			})
		})
	}
}

// What a middleware has set for the body that it expected does not spoil the refusal.
func TestHandlerRefusesUnderHeaders(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		defer taken(t, b)()
		h := bulkhead.Handler(b, http.HandlerFunc(served))
		for name, test := range map[string]struct{ header, value, text string }{
			"length":             {"Content-Length", "100000", "Service Unavailable\n"},
			"shorter":            {"Content-Length", "1", "Service Unavailable\n"},
			"type":               {"Content-Type", "application/json", "Service Unavailable\n"},
			"encoding":           {"Content-Encoding", "gzip", ""},
			"another encoding":   {"Content-Encoding", "br", ""},
			"another's word":     {"Retry-After", "tomorrow", "Service Unavailable\n"},
			"a cache's":          {"Cache-Control", "public, max-age=3600", "Service Unavailable\n"},
			"nothing but a name": {"X-Served-By", "a", "Service Unavailable\n"},
		} {
			s := serve(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(test.header, test.value)
				w.Header().Add("Content-Length", "50000")
				h.ServeHTTP(w, r)
			})
			for range 2 { // on the same connection: nothing is left over
				got := s.get(t, "/") // the client decodes gzip by itself
				if got.err != nil || got.StatusCode != 503 || got.text != test.text || got.after() < 1 || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %v %q, %v", name, got.Response, got.text, got.err)
				}
				if got.text != "" && got.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("%s: %v", name, got.Header)
				}
			}
		}
	})
}

// spy counts what is written.
type spy struct {
	http.ResponseWriter
	mu      sync.Mutex
	written int
}

func (s *spy) WriteHeader(status int) { s.count(); s.ResponseWriter.WriteHeader(status) }

func (s *spy) Write(p []byte) (int, error) { s.count(); return s.ResponseWriter.Write(p) }

func (s *spy) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *spy) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written++
}

// The client has gone while it waited: nothing is written, no place is taken, and the others' requests go on.
func TestHandlerClientHasGone(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		h := bulkhead.Handler(b, http.HandlerFunc(served))
		written := make(chan int, 1)
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			watched := &spy{ResponseWriter: w}
			h.ServeHTTP(watched, r)
			written <- watched.written
		})
		free := taken(t, b)
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			answer := make(chan reply)
			go func() { answer <- s.do(s.request(t, http.MethodGet, "/", nil).WithContext(ctx)) }()
			await(func() bool { return b.Snapshot().Queued == 1 })
			cancel()
			if got := <-answer; got.err == nil {
				t.Errorf("%v", got.Response)
			}
			if n := <-written; n != 0 {
				t.Errorf("%d times something was written", n)
			}
		}
		free()
		if got := s.get(t, "/"); got.err != nil || got.text != "served" || <-written == 0 {
			t.Errorf("the next: %v, %v", got.Response, got.err)
		}
		if s := s.quiet(t, b, 1+2+1); s.Ignored != 2 || s.Refused != 0 {
			t.Errorf("%+v", s)
		}
		if got := s.log.String(); got != "" {
			t.Errorf("logged: %s", got)
		}
	})
}

// This process has cancelled, not the client, before the request came to the bulkhead or while it waited there: still
// nothing is written, and the server's own "200, and no more" does not reach the client, which would take it for an answer.
func TestHandlerCancelledHere(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		h := bulkhead.Handler(b, http.HandlerFunc(served))
		waiting := make(chan context.CancelFunc, 1)
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			switch r.URL.Path {
			case "/before":
				cancel()
			case "/waiting":
				waiting <- cancel
			}
			watched := &spy{ResponseWriter: w}
			h.ServeHTTP(watched, r.WithContext(ctx))
			if r.URL.Path != "/" && watched.written != 0 {
				t.Errorf("%s: something was written", r.URL.Path)
			}
		})
		post := func(path string) reply { // not repeated by net/http
			return s.do(s.request(t, http.MethodPost, path, strings.NewReader("x")))
		}
		for range 2 {
			if got := post("/before"); got.err == nil {
				t.Errorf("before: %v %q", got.Response, got.text)
			}
			free := taken(t, b)
			answer := make(chan reply)
			go func() { answer <- post("/waiting") }()
			cancel := <-waiting
			await(func() bool { return b.Snapshot().Queued == 1 })
			cancel()
			if got := <-answer; got.err == nil {
				t.Errorf("waiting: %v %q", got.Response, got.text)
			}
			free()
			if got := post("/"); got.err != nil || got.text != "served" {
				t.Errorf("the next: %v, %v", got.Response, got.err)
			}
		}
		s.quiet(t, b, 2*4)
	})
}

// The connection is closed as it should be, or a client would take it for a fault of TLS.
func TestHandlerCancelledHereUnderTLS(t *testing.T) {
	h := bulkhead.Handler(bulkhead.MustNew(bulkhead.Config{Limit: 1}), http.HandlerFunc(served))
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
	defer s.Close()
	if _, err := s.Client().Post(s.URL, "", nil); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want an end", err)
	}
}

// The server's deadline passes while a request waits: its client gets the refusal.
func TestHandlerDeadlineWhileWaiting(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		defer taken(t, b)()
		h := bulkhead.Handler(b, http.HandlerFunc(served))
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
			defer cancel()
			h.ServeHTTP(w, r.WithContext(ctx))
		})
		if got := s.get(t, "/"); got.err != nil || got.StatusCode != 503 || got.after() < 1 {
			t.Errorf("%v, %v", got.Response, got.err)
		}
		if s := b.Snapshot(); s.Ignored+s.Refused != 1 || s.InUse != 1 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// What is exempt needs no place and is not counted, and next gets it as it came. A Keyed makes no bulkhead for it.
func TestHandlerExempt(t *testing.T) {
	paths := []string{"/healthz", "/readyz"}
	c := bulkhead.Config{Limit: 1, Exempt: bulkhead.ExemptPaths(paths...)}
	paths[0] = "/other" // the caller's own
	b, k := bulkhead.MustNew(c), bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: c, Total: 1})
	for name, of := range map[string]func(http.Handler) http.Handler{
		"Handler": func(next http.Handler) http.Handler { return bulkhead.Handler(b, next) },
		"Keyed.Handler": func(next http.Handler) http.Handler {
			return k.Handler(func(r *http.Request) string {
				if r.URL.Path == "/healthz" {
					t.Error("the key of a request that is exempt was asked for")
				}
				return "a tenant"
			}, next)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
				type seen struct {
					w http.ResponseWriter
					r *http.Request
				}
				inside := make(chan seen, 1)
				h := of(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inside <- seen{w, r} }))
				s := serve(func(w http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(w, r)
					if len(inside) > 0 {
						if got := <-inside; got.w != w || got.r != r {
							t.Error("next got another writer or request")
						}
					}
				})
				defer taken(t, b)()
				defer taken(t, k.Get("a tenant"))()
				before := b.Snapshot().Successes + k.Total().Snapshot().Successes
				for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/healthz/": 503, "/other": 503, "/": 503} {
					if got := s.get(t, path, bulkhead.PriorityHeader, "critical"); got.err != nil || got.StatusCode != status {
						t.Errorf("%s: %v, %v", path, got.Response, got.err)
					}
				}
				if after := b.Snapshot().Successes + k.Total().Snapshot().Successes; after != before {
					t.Errorf("%d calls more in the books", after-before)
				}
			})
		})
	}
	if k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: c, Total: 1}); true {
		h := k.Handler(func(*http.Request) string { return "" }, http.HandlerFunc(served))
		if h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil)); k.Len() != 0 {
			t.Errorf("%d keys", k.Len())
		}
	}
}

// Each key has its share, and all a total.
func TestKeyedHandler(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 1}, Total: 2})
		h := k.Handler(func(r *http.Request) string { return r.Header.Get("Tenant") }, http.HandlerFunc(served))
		s := serve(h.ServeHTTP)
		free := []func(){taken(t, k.Get("greedy"))}
		status := func(tenant string) int { return s.get(t, "/", "Tenant", tenant).StatusCode }
		if a, b := status("greedy"), status("modest"); a != 503 || b != 200 {
			t.Errorf("greedy %d, modest %d", a, b)
		}
		await(func() bool { return k.Get("modest").Snapshot().InUse == 0 })
		free = append(free, taken(t, k.Get("another")))
		if got := status("modest"); got != 503 {
			t.Errorf("beyond the total: %d", got)
		}
		for _, f := range free {
			f()
		}
		if a, b := status("greedy"), status("modest"); a != 200 || b != 200 {
			t.Errorf("greedy %d, modest %d", a, b)
		}
		s.quiet(t, k.Total(), 2+2+1+2)
	})
}

func TestHandlerOfNothing(t *testing.T) {
	next := http.NewServeMux()
	var none *bulkhead.Keyed[string]
	key := func(*http.Request) string { t.Error("asked for a key"); return "" }
	if bulkhead.Handler(nil, next) != http.Handler(next) || none.Handler(key, next) != http.Handler(next) {
		t.Error("a nil bulkhead is not to be told from none")
	}
	b, k := bulkhead.MustNew(bulkhead.Config{Limit: 1}), bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Total: 1})
	for name, f := range map[string]func(){
		"bulkhead.Handler: next is nil":              func() { bulkhead.Handler(b, nil) },
		"bulkhead.Keyed.Handler: key or next is nil": func() { k.Handler(key, nil) },
	} {
		if got := panicOf(f); got != name {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := panicOf(func() { k.Handler(nil, next) }); got == nil {
		t.Error("a nil key")
	}
	if got := panicOf(func() { bulkhead.Handler(nil, nil) }); got == nil {
		t.Error("a nil next under a nil bulkhead")
	}
}

// panicOf returns what f panics with.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// A request that waits when the server is shut down is served; one that is refused then closes its connection, so that
// the client goes elsewhere.
func TestHandlerShutdown(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		h := bulkhead.Handler(b, http.HandlerFunc(served))
		came, shut := make(chan struct{}), make(chan struct{})
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				close(came)
				<-shut
			}
			h.ServeHTTP(w, r)
		})
		s.Config.RegisterOnShutdown(func() { close(shut) })
		free := taken(t, b)
		first, late := make(chan reply), make(chan reply)
		go func() { first <- s.get(t, "/first") }()
		await(func() bool { return b.Snapshot().Queued == 1 })
		go func() { late <- s.get(t, "/late") }()
		<-came
		over := make(chan error)
		go func() { over <- s.Config.Shutdown(context.Background()) }()
		if got := <-late; got.err != nil || got.StatusCode != 503 || got.after() < 1 || got.ProtoMajor == 1 && !got.Close {
			t.Errorf("late: %v, %v", got.Response, got.err)
		}
		free()
		if got := <-first; got.err != nil || got.text != "served" {
			t.Errorf("first: %v, %v", got.Response, got.err)
		}
		if err := <-over; err != nil {
			t.Error(err)
		}
		if s := s.quiet(t, b, 3); s.Refused != 1 || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// ownContext is one that cannot be compared.
type ownContext struct {
	context.Context
	notes []string
}

func TestContextThatCannotBeCompared(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	ctx := ownContext{t.Context(), []string{"note"}}
	w := httptest.NewRecorder()
	bulkhead.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got, ok := r.Context().(ownContext); !ok || !slices.Equal(got.notes, ctx.notes) {
			t.Errorf("next got the context %v", r.Context())
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "host"}}).WithContext(ctx)
	if resp, err := bulkhead.Transport(b, answering(200)).RoundTrip(r); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
	settled(t, b, 2)
}
