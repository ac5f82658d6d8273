package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// On every path each body that was opened is closed, those that GetBody made and those of responses included, the request is
// not modified, and the answer is a response or an error.
func TestTransportClosesEverything(t *testing.T) {
	errNet := errors.New("net")
	type answer = func(a *accounts, r *http.Request) (*http.Response, error)
	status := func(n int) answer {
		return func(a *accounts, r *http.Request) (*http.Response, error) { return a.response(n, r), nil }
	}
	fails := func(*accounts, *http.Request) (*http.Response, error) { return nil, errNet }
	hangs := func(_ *accounts, r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	deaf := func(a *accounts, r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return a.response(200, r), nil
	}
	both := func(a *accounts, r *http.Request) (*http.Response, error) { return a.response(200, r), errNet }
	neither := func(*accounts, *http.Request) (*http.Response, error) { return nil, nil }
	noBody := func(*accounts, *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503}, nil
	}
	for name, test := range map[string]struct {
		config  hedge.Config
		answers []answer // of the attempts
		want    string   // "" for an error
	}{
		"success":                      {atOnce, []answer{status(200)}, "200 text"},
		"the second":                   {soon, []answer{hangs, status(200)}, "200 text"},
		"a late success":               {soon, []answer{deaf, status(200)}, "200 text"},
		"two late successes":           {free(ms, 2), []answer{deaf, deaf, status(200)}, "200 text"},
		"after a failure":              {atOnce, []answer{status(503), status(200)}, "200 text"},
		"after an error":               {atOnce, []answer{fails, status(200)}, "200 text"},
		"all fail":                     {free(time.Hour, 2), []answer{status(503), status(500), status(502)}, "503 text"},
		"all have errors":              {free(time.Hour, 2), []answer{fails, fails, fails}, ""},
		"a response, then errors":      {free(time.Hour, 2), []answer{status(503), fails, fails}, "503 text"},
		"an error, then responses":     {free(time.Hour, 2), []answer{fails, status(503), status(503)}, ""},
		"both":                         {atOnce, []answer{both, both}, ""},
		"neither":                      {atOnce, []answer{neither, neither}, ""},
		"a failure without a body":     {atOnce, []answer{noBody, fails}, "503 "},
		"a success after one of these": {atOnce, []answer{noBody, status(200)}, "200 text"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccounts()
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
				return test.answers[hedge.AttemptFrom(r.Context())-1](a, r)
			})
			r := request(t, "PUT", "http://host/", a.body("hello"), "Idempotency-Key", "7")
			r.GetBody = func() (io.ReadCloser, error) { return a.body("hello"), nil }
			before, header, u := *r, r.Header.Clone(), *r.URL
			resp, err := hedge.Transport(hedge.MustNew(test.config), base).RoundTrip(r)
			if (resp == nil) == (err == nil) {
				t.Fatalf("got %v and %v", resp, err)
			}
			if err == nil {
				if resp.Request != r {
					t.Error("the response is not to the caller's request")
				}
				if got := text(t, resp, err); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			} else if test.want != "" {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if r.Body != before.Body || *r.URL != u || fmt.Sprint(r.Header) != fmt.Sprint(header) || r.Context() != before.Context() {
				t.Error("the caller's request was modified")
			}
			a.settled()
		})
	}
}

// Where no attempt is made the body is closed too, and where a callback panics or the base does.
func TestTransportClosesUnsent(t *testing.T) {
	boom := func() { panic("boom") }
	ok := func() {}
	for name, test := range map[string]struct {
		ctx     func(*testing.T) context.Context
		request func() // HedgeRequest
		base    func()
		made    int   // -1: it may be any
		err     error // nil: panics, or ends its goroutine
	}{
		"context done":              {func(t *testing.T) context.Context { return canceled(t, 0) }, ok, ok, 0, errCaller},
		"context done meanwhile":    {func(t *testing.T) context.Context { return canceled(t, 1) }, ok, ok, -1, errCaller},
		"HedgeRequest panics":       {(*testing.T).Context, boom, ok, 0, nil},
		"HedgeRequest ends it":      {(*testing.T).Context, runtime.Goexit, ok, 0, nil},
		"the base panics":           {(*testing.T).Context, ok, boom, 1, nil},
		"the base ends its routine": {(*testing.T).Context, ok, runtime.Goexit, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccounts()
			var made atomic.Int64
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				made.Add(1)
				test.base()
				r.Body.Close()
				return a.response(200, r), nil
			})
			c := atOnce
			c.HedgeRequest = func(*http.Request) bool { test.request(); return true }
			r := request(t, "PUT", "http://host/", a.body("hello")).WithContext(test.ctx(t))
			r.GetBody = func() (io.ReadCloser, error) { return a.body("hello"), nil }
			var resp *http.Response
			var err error
			panicked, exited := ended(func() { resp, err = hedge.Transport(hedge.MustNew(c), base).RoundTrip(r) })
			switch returned := panicked == nil && !exited; {
			case returned && err == nil && test.made < 0:
				resp.Body.Close()
			case returned != (test.err != nil), !errors.Is(err, test.err), resp != nil:
				t.Errorf("%v, %v; panicked with %v, ended: %t", resp, err, panicked, exited)
			}
			a.settled()
			if n := made.Load(); test.made >= 0 && n != int64(test.made) {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

var errCaller = errors.New("the caller's reason")

// canceled is a context that ends when it was looked at so many times.
func canceled(t *testing.T, looks int32) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &endsWhenSeen{Context: ctx, cancel: func() { cancel(errCaller) }}
	if c.looks.Store(looks); looks == 0 {
		c.cancel()
	}
	return c
}

type endsWhenSeen struct {
	context.Context
	looks  atomic.Int32
	cancel func()
}

func (c *endsWhenSeen) Err() error {
	err := c.Context.Err()
	if c.looks.Add(-1) == 0 {
		c.cancel()
	}
	return err
}

// Each attempt sends the whole body, also while another is still sending it, and in a hedge around a hedge.
func TestTransportBodies(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		long := strings.Repeat("hello", 200_000)
		echo := func(w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			w.Write(got)
			if err != nil {
				t.Error(err)
			}
		}
		begun, sent := make(chan struct{}), make(chan struct{})
		s := serve(pages{
			1: func(_ http.ResponseWriter, r *http.Request) {
				r.Body.Read(make([]byte, 10))
				close(begun)
				<-sent // and no more until then: the client is kept writing
			},
			2: func(w http.ResponseWriter, r *http.Request) { <-begun; echo(w, r) },
		})
		a := newAccounts()
		r := request(t, "PUT", s.URL, a.body(long), "Idempotency-Key", "7")
		r.GetBody = func() (io.ReadCloser, error) { return a.body(long), nil }
		r.ContentLength = int64(len(long))
		resp, err := s.over(soon).RoundTrip(r)
		if got := text(t, resp, err); got != "200 "+long {
			t.Errorf("got %d bytes of %d: %.20q", len(got), len(long), got)
		}
		close(sent)
		s.wire.settled(t, 2)
		if n := a.settled(); n != 2 {
			t.Errorf("%d bodies", n)
		}
	})
	var mu sync.Mutex
	var seen []string
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		got, _ := io.ReadAll(r.Body)
		r.Body.Close()
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(got))
		return nil, errBoom
	})
	rt := hedge.Transport(hedge.MustNew(atOnce), hedge.Transport(hedge.MustNew(atOnce), base))
	_, err := rt.RoundTrip(request(t, "POST", "http://host/", strings.NewReader("hello"), "Idempotency-Key", "7"))
	if !errors.Is(err, errBoom) || fmt.Sprint(seen) != "[hello hello hello hello]" {
		t.Errorf("%v; the bodies were %q", err, seen)
	}
}

// A GetBody that fails, and a body that does, are the caller's own: there is no further attempt, and those under way go on.
func TestTransportCallersBodyFails(t *testing.T) {
	a := newAccounts()
	tries := 0
	r := request(t, "PUT", "http://host/", a.body("hello"), "Idempotency-Key", "7")
	r.GetBody = func() (io.ReadCloser, error) { tries++; return nil, errBoom }
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		return a.response(503, r), nil
	})
	resp, err := hedge.Transport(hedge.MustNew(free(time.Hour, 3)), base).RoundTrip(r)
	if got := text(t, resp, err); got != "503 text" || tries != 1 {
		t.Errorf("%q after %d tries", got, tries)
	}
	base = func(r *http.Request) (*http.Response, error) { r.Body.Close(); return nil, errors.New("net") }
	if _, err := hedge.Transport(hedge.MustNew(free(time.Hour, 3)), base).RoundTrip(r); !errors.Is(err, errBoom) || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
	a.settled()
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(pages{0: says(200, "done")})
		broken := func() io.ReadCloser {
			return io.NopCloser(io.MultiReader(strings.NewReader("hello"), reader(func([]byte) (int, error) { return 0, errBoom })))
		}
		r := request(t, "PUT", s.URL, broken(), "Idempotency-Key", "7")
		r.GetBody = func() (io.ReadCloser, error) { return broken(), nil }
		_, err := s.over(free(time.Hour, 3)).RoundTrip(r)
		if !errors.Is(err, errBoom) {
			t.Error(err)
		}
		s.wire.settled(t, 1)
	})
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

// Each attempt has a request of its own: what a base writes there, as it should not, is seen by none of the others, nor by
// the caller.
func TestTransportOwnRequests(t *testing.T) {
	const attempts = 4
	var met sync.WaitGroup
	met.Add(attempts)
	a := newAccounts()
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		met.Done()
		met.Wait() // all at once
		r.Header.Add("X-Signed", "yes")
		r.URL.Path += "signed"
		if len(r.Header["X-Signed"]) != 1 || r.URL.Path != "/signed" || r.Header.Get("Accept") != "text/plain" {
			t.Errorf("an attempt sees what another wrote: %v %v", r.URL, r.Header)
		}
		return a.response(200, r), nil
	})
	for _, header := range [][]string{{"Accept", "text/plain"}} {
		r := request(t, "GET", "http://host/", nil, header...)
		resp, err := hedge.Transport(hedge.MustNew(free(-1, attempts-1)), base).RoundTrip(r)
		if text(t, resp, err); len(r.Header) != len(header)/2 || r.URL.Path != "/" {
			t.Errorf("the caller's request is %v %v", r.URL, r.Header)
		}
	}
	a.settled()
}

// Who has closed the response's body may use the request again, with other headers and another URL, though an attempt that
// lost is still under way: that one goes on with what it had.
func TestTransportRequestUsedAgain(t *testing.T) {
	for _, faithful := range []bool{false, true} {
		a := newAccounts()
		again, seen := make(chan struct{}), make(chan string, 1)
		var base http.RoundTripper = roundTripper(func(r *http.Request) (*http.Response, error) {
			if hedge.AttemptFrom(r.Context()) == 2 {
				return a.response(200, r), nil
			}
			<-again
			seen <- fmt.Sprintln(r.Method, r.URL, r.Header)
			return nil, errBoom
		})
		if faithful {
			base = faithfulOne{base}
		}
		r := request(t, "GET", "http://host/path", nil, "Accept", "text/plain")
		resp, err := hedge.Transport(hedge.MustNew(soon), base).RoundTrip(r)
		text(t, resp, err)
		r.Header.Set("Accept", "text/html")
		r.Header.Set("X-Other", "1")
		r.URL.Path = "/other"
		r.URL, r.Method, r.Header = &url.URL{}, "POST", nil
		close(again)
		if got := <-seen; got != "GET http://host/path map[Accept:[text/plain]]\n" {
			t.Errorf("faithful %t: the loser sends %s", faithful, got)
		}
		a.settled()
	}
}

// One that is still making its body when the caller has the request back goes on with what it was asked for, too.
func TestTransportRequestUsedAgainEarly(t *testing.T) {
	a := newAccounts()
	begun, again, seen := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	base := faithfulOne{roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		if hedge.AttemptFrom(r.Context()) == 1 {
			<-begun
			return a.response(200, r), nil
		}
		seen <- fmt.Sprintln(r.Method, r.URL, r.Header)
		return nil, errBoom
	})}
	r := request(t, "PUT", "http://host/path", a.body("hello"), "Idempotency-Key", "7")
	r.GetBody = func() (io.ReadCloser, error) {
		close(begun)
		<-again
		return a.body("hello"), nil
	}
	resp, err := hedge.Transport(hedge.MustNew(soon), base).RoundTrip(r)
	text(t, resp, err)
	r.Header.Set("X-Other", "1")
	r.URL.Path, r.Method = "/other", "POST"
	close(again)
	if got := <-seen; got != "PUT http://host/path map[Idempotency-Key:[7]]\n" {
		t.Errorf("the loser sends %s", got)
	}
	a.settled()
}

// faithfulOne is a base that is known to leave requests alone.
type faithfulOne struct{ http.RoundTripper }

func (faithfulOne) Faithful() bool { return true }

// A header that is nil is a fault of the caller's that net/http reports, and is to go on reporting.
func TestTransportNilHeader(t *testing.T) {
	r := &http.Request{URL: &url.URL{Scheme: "http", Host: "host"}}
	_, bare := http.DefaultTransport.RoundTrip(r)
	_, err := hedge.Transport(hedge.MustNew(atOnce), nil).RoundTrip(r)
	if bare == nil || err == nil || err.Error() != bare.Error() {
		t.Errorf("%v, without a hedge %v", err, bare)
	}
	_, err = hedge.Transport(hedge.MustNew(atOnce), nil).RoundTrip(&http.Request{Header: http.Header{}})
	if err == nil || !strings.Contains(err.Error(), "nil Request.URL") {
		t.Errorf("no URL: %v", err)
	}
}

// The trailers of a request are one map, which the caller fills in while the body is read: that can be read once.
func TestTransportRequestTrailers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(pages{0: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(503)
			io.WriteString(w, r.Trailer.Get("Sum"))
		}})
		r := request(t, "PUT", s.URL, nil, "Idempotency-Key", "7")
		r.Trailer = http.Header{"Sum": nil}
		r.ContentLength = -1
		body := func() io.ReadCloser {
			return io.NopCloser(io.MultiReader(strings.NewReader("hello"), reader(func([]byte) (int, error) {
				r.Trailer.Set("Sum", "42")
				return 0, io.EOF
			})))
		}
		r.Body = body()
		r.GetBody = func() (io.ReadCloser, error) { return body(), nil }
		resp, err := hedge.Transport(hedge.MustNew(atOnce), s.Client().Transport).RoundTrip(r)
		if got := text(t, resp, err); got != "503 42" || s.requests.Load() != 1 {
			t.Errorf("%q after %d requests", got, s.requests.Load())
		}
	})
}
