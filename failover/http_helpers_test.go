package failover_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// backend is a server that counts who comes.
type backend struct {
	*httptest.Server
	page        http.HandlerFunc
	requests    atomic.Int64
	connections atomic.Int64
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.requests.Add(1)
	b.page(w, r)
}

func newBackend(t *testing.T, h2 bool, page http.HandlerFunc) *backend {
	t.Cleanup(httpx.DrainFor(time.Minute)) // or a busy machine would make of a short page one that costs its connection
	b := &backend{page: page}
	b.Server = httptest.NewUnstartedServer(b)
	b.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.connections.Add(1)
		}
	}
	b.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that go, and handlers that panic
	if b.EnableHTTP2 = h2; h2 {
		b.StartTLS()
	} else {
		b.Start()
	}
	t.Cleanup(b.Close)
	return b
}

// eachProtocol runs a test over HTTP/1.1 and over HTTP/2.
func eachProtocol(t *testing.T, test func(t *testing.T, serve func(http.HandlerFunc) *backend)) {
	for name, h2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
		t.Run(name, func(t *testing.T) {
			test(t, func(page http.HandlerFunc) *backend { return newBackend(t, h2, page) })
		})
	}
}

// refusing is an address where nobody listens. A port that was free a moment ago may be another program's by now; this one is
// below those that programs are given.
const refusing = "http://127.0.0.1:1"

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// at makes URLs the targets t0, t1, …
func at(t testing.TB, urls ...string) []failover.Target[*url.URL] {
	t.Helper()
	ts := make([]failover.Target[*url.URL], len(urls))
	for i, u := range urls {
		ts[i] = failover.Target[*url.URL]{Name: "t" + strconv.Itoa(i), Value: parse(t, u)}
	}
	return ts
}

// group is one of these URLs.
func group(t testing.TB, c failover.Config[*url.URL], urls ...string) *failover.Group[*url.URL] {
	t.Helper()
	c.Name, c.Targets = "users", at(t, urls...)
	g := failover.MustNew(c)
	t.Cleanup(func() { g.Close() })
	return g
}

func request(t testing.TB, method, url string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// text reads the whole of a response and closes it.
func text(t testing.TB, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		return "error: " + err.Error()
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("after %d bytes: %v", len(got), err)
	}
	return strconv.Itoa(resp.StatusCode) + " " + string(got)
}

// unhurried is the context of an attempt that a busy machine may be too slow for: it ends when done is closed, not before.
type unhurried struct {
	context.Context
	done <-chan struct{}
}

func (unhurried) Deadline() (until time.Time, ok bool) { return }

func (c unhurried) Done() <-chan struct{} { return c.done }

func (c unhurried) Err() error {
	select {
	case <-c.done:
		return c.Context.Err()
	default:
		return nil
	}
}

// says is a page that reads what it is sent.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// echoes is a page that sends back what it is sent.
func echoes(w http.ResponseWriter, r *http.Request) {
	got, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Write(got)
}

// accounts keeps account of bodies: each that was opened is to be closed.
type accounts struct{ opened, open atomic.Int64 }

// left is how many are open, and stay so: a transport may close a request's body a little after it has answered.
func (a *accounts) left() int64 {
	for range 1000 {
		if a.open.Load() == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return a.open.Load()
}

func (a *accounts) body(r io.Reader) io.ReadCloser {
	a.opened.Add(1)
	a.open.Add(1)
	return &accountedBody{Reader: r, a: a}
}

// request makes one whose bodies are kept account of; if again is set it can be sent again.
func (a *accounts) request(t testing.TB, method, url, body string, again bool, header ...string) *http.Request {
	r := request(t, method, url, a.body(strings.NewReader(body)), header...)
	r.ContentLength = int64(len(body))
	if again {
		r.GetBody = func() (io.ReadCloser, error) { return a.body(strings.NewReader(body)), nil }
	}
	return r
}

type accountedBody struct {
	io.Reader
	a    *accounts
	once sync.Once
}

func (b *accountedBody) Close() error {
	b.once.Do(func() { b.a.open.Add(-1) })
	return nil
}

// settled says whether all calls are over: none under way, and the books in order.
func settled(t testing.TB, s failover.Snapshot) {
	t.Helper()
	for _, x := range s.Targets {
		if x.InFlight != 0 {
			t.Errorf("%s: %d under way", x.Name, x.InFlight)
		}
	}
	if s.Calls != s.Successes+s.Failures+s.Ignored+s.Refused {
		t.Errorf("%+v", s)
	}
}
