package hedge_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// pages are what a site answers, by the number of the attempt; 0 is for those that have no page of their own.
type pages map[int]http.HandlerFunc

// site is a server that knows which attempt it hears, and so does what the test says. Who wins is a matter of order, not of time.
type site struct {
	*httptest.Server
	pages       pages
	connections atomic.Int64
	requests    atomic.Int64
	wire        *wire
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	n, _ := strconv.Atoi(r.Header.Get(attemptHeader))
	page, ok := s.pages[n]
	if !ok {
		page = s.pages[0]
	}
	page(w, r)
}

func newSite(t *testing.T, h2 bool, p pages) *site {
	t.Cleanup(httpx.DrainFor(time.Minute)) // or a busy machine would make of a short page one that is too slow to be kept
	s := &site{pages: p}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that go in the middle of a handshake
	if s.EnableHTTP2 = h2; h2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	s.wire = newWire(s.Client().Transport)
	t.Cleanup(s.Close)
	return s
}

func eachProtocol(t *testing.T, f func(t *testing.T, serve func(pages) *site)) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[h2], func(t *testing.T) {
			f(t, func(p pages) *site { return newSite(t, h2, p) })
		})
	}
}

// over is a transport to the site, under a policy.
func (s *site) over(c hedge.Config) http.RoundTripper {
	return hedge.Transport(hedge.MustNew(c), s.wire)
}

func (s *site) client(c hedge.Config) *http.Client { return &http.Client{Transport: s.over(c)} }

// request makes one, with headers in pairs.
func request(t *testing.T, method, url string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// text reads the whole of a response and closes it.
func text(t *testing.T, resp *http.Response, err error) string {
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

// says is a page.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// hangs is the page of a server that answers nothing until the client is gone.
func hangs(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// duel are pages of which the first hangs, and the second comes when that has begun to.
func duel(second http.HandlerFunc) pages {
	begun := make(chan struct{}, 1)
	return pages{
		1: func(w http.ResponseWriter, r *http.Request) { begun <- struct{}{}; hangs(w, r) },
		2: func(w http.ResponseWriter, r *http.Request) { <-begun; second(w, r) },
	}
}

// after is a page that waits, though not for longer than its client.
func after(first <-chan struct{}, page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-first:
			page(w, r)
		case <-r.Context().Done():
		}
	}
}

const attemptHeader = "Test-Attempt"

// wire is a base that tells the server which attempt it hears, and keeps account of what comes of each: an attempt is over
// when it has failed, or its response's body is closed.
type wire struct {
	next  http.RoundTripper
	mu    sync.Mutex
	moved *sync.Cond
	begun []int       // attempts, in the order of their beginning
	over  map[int]int // by attempt
	again int         // bodies that were closed a second time
}

func newWire(next http.RoundTripper) *wire {
	w := &wire{next: next, over: map[int]int{}}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// Faithful says that it is known to leave requests alone.
func (w *wire) Faithful() bool { return true }

func (w *wire) CloseIdleConnections() { w.next.(*http.Transport).CloseIdleConnections() }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	n := hedge.AttemptFrom(r.Context())
	w.mu.Lock()
	w.begun = append(w.begun, n)
	w.mu.Unlock()
	again := r.Clone(r.Context())
	again.Header.Set(attemptHeader, strconv.Itoa(n))
	resp, err := w.next.RoundTrip(again)
	if err != nil {
		w.ended(n)
		return nil, err
	}
	resp.Body = &wireBody{ReadCloser: resp.Body, w: w, n: n}
	return resp, nil
}

func (w *wire) ended(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over[n]++
	w.moved.Broadcast()
}

// wait waits until so many attempts with that number are over.
func (w *wire) wait(n, many int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.over[n] < many {
		w.moved.Wait()
	}
}

// settled waits until so many attempts are over, and checks that there were no others, and that each body was closed once.
func (w *wire) settled(t *testing.T, attempts int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for sum(w.over) < attempts {
		w.moved.Wait()
	}
	if len(w.begun) != attempts || w.again > 0 {
		t.Errorf("%d attempts, want %d; %d bodies were closed more than once", len(w.begun), attempts, w.again)
	}
}

// idle waits until all that began is over, for what ends by a clock: on a busy machine that may be before it begins.
func (w *wire) idle(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for sum(w.over) < len(w.begun) {
		w.moved.Wait()
	}
	if w.again > 0 {
		t.Errorf("%d bodies were closed more than once", w.again)
	}
}

func sum(counts map[int]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

type wireBody struct {
	io.ReadCloser
	w      *wire
	n      int
	closed atomic.Bool
}

func (b *wireBody) Close() error {
	err := b.ReadCloser.Close()
	if b.closed.Swap(true) {
		b.w.mu.Lock()
		b.w.again++
		b.w.mu.Unlock()
		return err
	}
	b.w.ended(b.n)
	return err
}

// accounts keeps account of bodies: each that was opened is to be closed.
type accounts struct {
	mu    sync.Mutex
	moved *sync.Cond
	open  int
	all   int
}

func newAccounts() *accounts {
	a := &accounts{}
	a.moved = sync.NewCond(&a.mu)
	return a
}

func (a *accounts) body(text string) io.ReadCloser {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
	a.all++
	return &accountedBody{Reader: strings.NewReader(text), a: a}
}

// settled waits until all are closed.
func (a *accounts) settled() (all int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.open > 0 {
		a.moved.Wait()
	}
	return a.all
}

type accountedBody struct {
	io.Reader
	a    *accounts
	once sync.Once
}

func (b *accountedBody) Close() error {
	b.once.Do(func() {
		b.a.mu.Lock()
		defer b.a.mu.Unlock()
		b.a.open--
		b.a.moved.Broadcast()
	})
	return nil
}

// response is what a base without a network answers.
func (a *accounts) response(status int, r *http.Request) *http.Response {
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: a.body("text"), ContentLength: 4, Request: r}
}
