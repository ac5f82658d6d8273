package bulkhead_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering is a base that answers with a status and nothing else.
func answering(status int) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
}

// over is a transport to the site, under b.
func (s *site) over(b *bulkhead.Bulkhead) http.RoundTripper {
	return bulkhead.Transport(b, s.Client().Transport)
}

// closeCounter is a body of a request that counts.
type closeCounter struct {
	io.Reader
	closed atomic.Int64
}

func (c *closeCounter) Close() error { c.closed.Add(1); return nil }

// refuses checks that there is no place, and that the body of the refused request is closed.
func refuses(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	body := &closeCounter{Reader: strings.NewReader("hello")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	var full *bulkhead.FullError
	if resp != nil || !errors.Is(err, bulkhead.ErrFull) || !errors.As(err, &full) || full.Reason != bulkhead.ReasonFull {
		t.Errorf("%v, %v: want a refusal", resp, err)
	}
	if n := body.closed.Load(); n != 1 {
		t.Errorf("the body of the refused request was closed %d times", n)
	}
}

func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "8")
	io.WriteString(w, "half")
	w.(http.Flusher).Flush()
}

// The place is held until the response's body is closed or read to its end, or fails; and where there is none, until the
// header. It goes back once.
func TestTransportHolds(t *testing.T) {
	whole := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, strings.Repeat("text", 100_000))
		w.Header().Set("Sum", "42")
	}
	closes := func(resp *http.Response, _ func()) { resp.Body.Close() }
	readAll := func(resp *http.Response, _ func()) { io.Copy(io.Discard, resp.Body) }
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for name, test := range map[string]struct {
			page    http.HandlerFunc
			method  string
			release func(resp *http.Response, cancel func()) // nil: the place is back with the header
		}{
			"read to the end":             {whole, "GET", readAll},
			"closed":                      {whole, "GET", closes},
			"closed twice":                {whole, "GET", func(resp *http.Response, _ func()) { resp.Body.Close(); resp.Body.Close() }},
			"read to the end, and closed": {whole, "GET", func(resp *http.Response, _ func()) { readAll(resp, nil); resp.Body.Close() }},
			"closed halfway": {whole, "GET", func(resp *http.Response, _ func()) {
				resp.Body.Read(make([]byte, 10))
				resp.Body.Close()
			}},
			"short":        {served, "GET", readAll},
			"a failure":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusBadGateway) }, "GET", closes},
			"breaks off":   {func(w http.ResponseWriter, r *http.Request) { half(w, r); panic(http.ErrAbortHandler) }, "GET", readAll},
			"is cancelled": {func(w http.ResponseWriter, r *http.Request) { half(w, r); <-r.Context().Done() }, "GET", func(resp *http.Response, cancel func()) { cancel(); readAll(resp, nil) }},
			"HEAD":         {whole, "HEAD", nil},
			"HEAD, length": {half, "HEAD", nil},
			"204":          {status(204), "GET", nil},
			"304":          {status(304), "GET", nil},
			"304, length": {func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "5")
				w.WriteHeader(http.StatusNotModified)
			}, "GET", nil},
			"an empty page": {status(200), "GET", nil},
		} {
			t.Run(name, func(t *testing.T) {
				s := serve(test.page)
				b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
				rt := s.over(b)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				resp, err := rt.RoundTrip(s.request(t, test.method, "/", nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if test.release != nil {
					if b.Snapshot().InUse != 1 {
						t.Error("the place is back before the body was read")
					}
					refuses(t, rt, s.URL)
					test.release(resp, cancel)
				}
				if b.Snapshot().InUse != 0 {
					t.Fatal("the place is not back")
				}
				if name == "read to the end" && resp.Trailer.Get("Sum") != "42" {
					t.Errorf("trailer %v", resp.Trailer)
				}
				free := taken(t, b) // the next one's
				resp.Body.Close()
				io.Copy(io.Discard, resp.Body)
				if b.Snapshot().InUse != 1 {
					t.Error("it was given back twice")
				}
				free()
			})
		}
	})
}

func TestTransportReleaseAtHeader(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		more := make(chan struct{})
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			half(w, r)
			<-more
			io.WriteString(w, "more")
		})
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, ReleaseAtHeader: true})
		resp, err := s.over(b).RoundTrip(s.request(t, http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		settled(t, b, 1)
		free := taken(t, b)
		close(more)
		if text, err := io.ReadAll(resp.Body); string(text) != "halfmore" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if resp.Body.Close(); b.Snapshot().InUse != 1 {
			t.Error("it was given back twice")
		}
		free()
	})
}

// Read and Close may come from two goroutines, and two Closes: the place goes back once.
func TestTransportReadAndClose(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		s := serve(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 10_000)) })
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2})
		for range 50 {
			other := taken(t, b)
			resp, err := s.over(b).RoundTrip(s.request(t, http.MethodGet, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			all.Go(func() { io.Copy(io.Discard, resp.Body) })
			all.Go(func() { resp.Body.Close() })
			all.Go(func() { resp.Body.Close() })
			all.Wait()
			if n := b.Snapshot().InUse; n != 1 {
				t.Fatalf("%d places are taken, want the other one's", n)
			}
			other()
		}
		settled(t, b, 100)
	})
}

// A connection that speaks something else holds its place until it is closed, and can be written to; that its other side
// has said all is no end.
func TestTransportUpgrade(t *testing.T) {
	s := newSite(t, false, func(w http.ResponseWriter, _ *http.Request) {
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
	})
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	rt := s.over(b)
	resp, err := rt.RoundTrip(s.request(t, http.MethodGet, "/", nil, "Connection", "Upgrade", "Upgrade", "echo"))
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v, %v", resp, err)
	}
	refuses(t, rt, s.URL)
	w, ok := resp.Body.(io.Writer)
	if !ok {
		t.Fatal("the body is no io.Writer any more")
	}
	io.WriteString(w, "hello\n")
	if got, _ := io.ReadAll(resp.Body); string(got) != "echo hello\n" {
		t.Errorf("%q", got)
	}
	refuses(t, rt, s.URL)
	resp.Body.Close()
	if s := settled(t, b, 3); s.Calls != (bulkhead.Calls{}) {
		t.Errorf("%+v: how long two sides talked says nothing", s)
	}
}

// While a request waits its context ends it: at once, with its body closed, with an error that says why, and that
// http.Client sees as a timeout if it is one.
func TestTransportWaiting(t *testing.T) {
	errCause := errors.New("the user has closed the window")
	withTimeout := func(d time.Duration) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) { return context.WithTimeout(context.Background(), d) }
	}
	cancelled := func(before bool) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			if end := func() { cancel(errCause) }; before {
				end()
			} else {
				time.AfterFunc(time.Second, end)
			}
			return ctx, func() { cancel(nil) }
		}
	}
	for name, test := range map[string]struct {
		context       func() (context.Context, context.CancelFunc)
		clientTimeout time.Duration
		timeout       bool
		causes        []error
		after         time.Duration
	}{
		"cancelled":        {cancelled(false), 0, false, []error{context.Canceled, errCause, bulkhead.ErrFull}, time.Second},
		"cancelled before": {cancelled(true), 0, false, []error{context.Canceled, errCause}, 0},
		"deadline":         {withTimeout(time.Second), 0, true, []error{context.DeadlineExceeded, bulkhead.ErrFull}, time.Second},
		"deadline before":  {withTimeout(-1), 0, true, []error{context.DeadlineExceeded}, 0},
		"Client.Timeout":   {withTimeout(time.Hour), time.Second, true, []error{context.DeadlineExceeded}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1, Queue: 1})
				client := &http.Client{Transport: bulkhead.Transport(b, answering(200)), Timeout: test.clientTimeout}
				free := taken(t, b)
				start := time.Now()
				ctx, cancel := test.context()
				defer cancel()
				body := &closeCounter{Reader: strings.NewReader("hello")}
				r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://host/", body)
				resp, err := client.Do(r)
				if resp != nil || time.Since(start) != test.after {
					t.Errorf("%v after %v", resp, time.Since(start))
				}
				for _, cause := range test.causes {
					if !errors.Is(err, cause) {
						t.Errorf("%v is not %v", err, cause)
					}
				}
				var outer *url.Error
				if !errors.As(err, &outer) || outer.Timeout() != test.timeout {
					t.Errorf("%v: Timeout %v", err, outer != nil && outer.Timeout())
				}
				if body.closed.Load() == 0 {
					t.Error("the body is open")
				}
				free()
				if s := settled(t, b, 2); s.Ignored != 1 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A refusal says that it is one, when to come back, and that it is not a timeout.
func TestTransportRefusal(t *testing.T) {
	s := newSite(t, false, served)
	b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1})
	free := taken(t, b)
	_, err := (&http.Client{Transport: s.over(b)}).Get(s.URL)
	var outer *url.Error
	var full *bulkhead.FullError
	if !errors.As(err, &outer) || outer.Timeout() || !outer.Temporary() || !errors.As(err, &full) || !full.Refused() || full.Name != "slots" {
		t.Errorf("%v", err)
	}
	free()
	if s := settled(t, b, 2); s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

// Many at once: never more than the limit from the sending to the end of the body, and in the end all is back.
func TestTransportManyAtOnce(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		const limit, clients, each = 8, 50, 10
		var present, most atomic.Int64
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Write(make([]byte, 5000))
		})
		b := bulkhead.MustNew(bulkhead.Config{Limit: limit, Queue: clients})
		rt := bulkhead.Transport(b, roundTripper(func(r *http.Request) (*http.Response, error) {
			raise(&most, present.Add(1))
			resp, err := s.Client().Transport.RoundTrip(r)
			if err != nil {
				present.Add(-1)
				return nil, err
			}
			resp.Body = &onceClosed{ReadCloser: resp.Body, closed: func() { present.Add(-1) }}
			return resp, nil
		}))
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				for j := range each {
					resp, err := rt.RoundTrip(s.request(t, http.MethodPost, "/", strings.NewReader("hello")))
					if err != nil {
						if !errors.Is(err, bulkhead.ErrFull) {
							t.Error(err)
						}
						continue
					}
					if (i+j)%3 > 0 {
						io.Copy(io.Discard, resp.Body)
					}
					resp.Body.Close()
				}
			})
		}
		all.Wait()
		if n := most.Load(); n > limit {
			t.Errorf("%d at once, want %d at the most", n, limit)
		}
		settled(t, b, clients*each)
	})
}

// raise makes most at least n.
func raise(most *atomic.Int64, n int64) {
	for m := most.Load(); m < n && !most.CompareAndSwap(m, n); m = most.Load() {
	}
}

// onceClosed tells of the first Close, before it is done.
type onceClosed struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (b *onceClosed) Close() error { b.once.Do(b.closed); return b.ReadCloser.Close() }

func (b *onceClosed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.closed)
	}
	return n, err
}

// Each host has its share, however it is written.
func TestKeyedTransport(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		one, two := serve(half), serve(served)
		k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 1}, Total: 2})
		rt := k.Transport(bulkhead.Host, one.Client().Transport)
		resp, err := rt.RoundTrip(one.request(t, http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		refuses(t, rt, one.URL+"/other")
		other, err := k.Transport(bulkhead.Host, two.Client().Transport).RoundTrip(two.request(t, http.MethodGet, "/", nil))
		if err != nil || k.Len() != 2 || k.Total().Snapshot().InUse != 2 {
			t.Fatalf("%v, %v, %d keys, %+v", other, err, k.Len(), k.Total().Snapshot())
		}
		third := k.Transport(func(*http.Request) string { return "third" }, two.Client().Transport)
		_, err = third.RoundTrip(two.request(t, http.MethodGet, "/", nil))
		var full *bulkhead.FullError
		if !errors.As(err, &full) || full.Reason != bulkhead.ReasonTotal {
			t.Errorf("beyond the total: %v", err)
		}
		other.Body.Close()
		resp.Body.Close()
		settled(t, k.Total(), 4)
	})
	for written, want := range map[string]string{
		"http://Example.com/a": "example.com", "http://example.com:80": "example.com", "https://example.com:443": "example.com",
		"https://example.com:8443": "example.com:8443", "http://[::1]:80": "[::1]", "http:///": "",
	} {
		r, err := http.NewRequest(http.MethodGet, written, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := bulkhead.Host(r); got != want {
			t.Errorf("%s: %q, want %q", written, got, want)
		}
	}
	if got := bulkhead.Host(&http.Request{}); got != "" {
		t.Errorf("no URL: %q", got)
	}
}

// countsIdle is a base that counts how often its idle connections are to be closed.
type countsIdle struct {
	http.RoundTripper
	idle int
}

func (c *countsIdle) CloseIdleConnections() { c.idle++ }

func TestTransportOfNothing(t *testing.T) {
	errBase := errors.New("base")
	base := &countsIdle{RoundTripper: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errBase })}
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Total: 1})
	var none *bulkhead.Keyed[string]
	r, _ := http.NewRequest(http.MethodGet, "http://host/", nil)
	for name, rt := range map[string]http.RoundTripper{
		"nil bulkhead": bulkhead.Transport(nil, base), "nil keyed": none.Transport(bulkhead.Host, base),
		"bulkhead": bulkhead.Transport(b, base), "keyed": k.Transport(bulkhead.Host, base),
	} {
		if resp, err := rt.RoundTrip(r); resp != nil || err != errBase {
			t.Errorf("%s: %v, %v: want the very error of the base", name, resp, err)
		}
		if got := rt.(interface{ Unwrap() http.RoundTripper }).Unwrap(); got != http.RoundTripper(base) {
			t.Errorf("%s: Unwrap is %v", name, got)
		}
		base.idle = 0
		if (&http.Client{Transport: rt}).CloseIdleConnections(); base.idle != 1 {
			t.Errorf("%s: CloseIdleConnections reached the base %d times", name, base.idle)
		}
	}
	settled(t, b, 1)
	if got := panicOf(func() { k.Transport(nil, base) }); got != "bulkhead.Keyed.Transport: key is nil" {
		t.Error(got)
	}
	if got := panicOf(func() { bulkhead.Transport(b, (*http.Transport)(nil)) }); got == nil {
		t.Error("a nil *http.Transport was taken")
	}
	s := httptest.NewServer(http.HandlerFunc(served))
	defer s.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, rt := range []http.RoundTripper{bulkhead.Transport(b, nil), bulkhead.Transport(nil, nil), k.Transport(bulkhead.Host, nil)} {
		resp, err := (&http.Client{Transport: rt}).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

// What is exempt goes as it is, takes no place, and has no key.
func TestTransportExempt(t *testing.T) {
	c := bulkhead.Config{Limit: 1, Exempt: bulkhead.ExemptPaths("/healthz")}
	b, k := bulkhead.MustNew(c), bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: c, Total: 1})
	defer taken(t, b)()
	var got *http.Request
	base := roundTripper(func(r *http.Request) (*http.Response, error) { got = r; return answering(200)(r) })
	key := func(*http.Request) string { t.Error("asked for a key"); return "" }
	for _, rt := range []http.RoundTripper{bulkhead.Transport(b, base), k.Transport(key, base)} {
		ctx := bulkhead.WithPriority(t.Context(), bulkhead.Critical)
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://host/healthz", io.MultiReader())
		if resp, err := rt.RoundTrip(r); err != nil || resp.StatusCode != 200 || got != r || r.Header.Get(bulkhead.PriorityHeader) != "" {
			t.Errorf("%v, %v; the very request: %t", resp, err, got == r)
		}
	}
	refuses(t, bulkhead.Transport(b, base), "http://host/")
	if s := b.Snapshot(); s.Refused != 1 || s.Successes+s.Failures+s.Ignored != 0 || k.Len() != 0 {
		t.Errorf("%+v, %d keys", s, k.Len())
	}
}
