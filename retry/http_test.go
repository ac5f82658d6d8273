package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// backend answers each request with the next of the steps, the last one for ever, and remembers what came.
type backend struct {
	*httptest.Server
	mu          sync.Mutex
	steps       []http.HandlerFunc
	seen        []seenRequest
	connections atomic.Int64
}

type seenRequest struct {
	method, body string
	header       http.Header
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	step := b.steps[min(len(b.seen), len(b.steps)-1)]
	b.seen = append(b.seen, seenRequest{r.Method, string(body), r.Header.Clone()})
	b.mu.Unlock()
	step(w, r)
}

func (b *backend) requests() []seenRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

func eachProtocol(t *testing.T, f func(t *testing.T, start func(...http.HandlerFunc) *backend)) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[h2], func(t *testing.T) {
			f(t, func(steps ...http.HandlerFunc) *backend {
				b := &backend{steps: steps}
				b.Server = httptest.NewUnstartedServer(b)
				b.Config.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateNew {
						b.connections.Add(1)
					}
				}
				b.EnableHTTP2 = h2
				if h2 {
					b.StartTLS()
				} else {
					b.Start()
				}
				t.Cleanup(b.Close)
				return b
			})
		})
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, "this is %d", code)
	}
}

// hang answers nothing until the client is gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// cut ends the connection after the request was read.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

var quick = retry.Config{Name: "test", BaseDelay: -1}

func (b *backend) client(c retry.Config) *http.Client {
	return &http.Client{Transport: retry.Transport(retry.MustNew(c), b.Client().Transport)}
}

// do sends a request, reads the whole answer, and returns "status body" or the error.
func do(t *testing.T, c *http.Client, method, url string, body io.Reader, header ...string) string {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return "error: " + err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "body: " + err.Error()
	}
	return fmt.Sprint(resp.StatusCode, " ", string(text))
}

// stream hides what a body is, so that http.NewRequest makes no GetBody.
type stream struct{ io.Reader }

func TestTransportWhatIsRepeated(t *testing.T) {
	text := func() io.Reader { return strings.NewReader("hello") }
	for _, test := range []struct {
		name     string
		config   retry.Config
		method   string
		body     io.Reader
		header   []string
		steps    []http.HandlerFunc
		requests int
		want     string
	}{
		{"success", quick, "GET", nil, nil, []http.HandlerFunc{status(200)}, 1, "200 this is 200"},
		{"503 twice", quick, "GET", nil, nil, []http.HandlerFunc{status(503), status(503), status(200)}, 3, "200 this is 200"},
		{"503 for ever: the last response", quick, "GET", nil, nil, []http.HandlerFunc{status(503)}, 3, "503 this is 503"},
		{"cut off", quick, "GET", nil, nil, []http.HandlerFunc{cut, status(200)}, 2, "200 this is 200"},
		{"PUT with its body", quick, "PUT", text(), nil, []http.HandlerFunc{status(502), status(200)}, 2, "200 this is 200"},
		{"DELETE", quick, "DELETE", nil, nil, []http.HandlerFunc{status(504), status(200)}, 2, "200 this is 200"},
		{"POST is not", quick, "POST", text(), nil, []http.HandlerFunc{status(503), status(200)}, 1, "503 this is 503"},
		{"PATCH is not", quick, "PATCH", text(), nil, []http.HandlerFunc{status(503), status(200)}, 1, "503 this is 503"},
		{"POST with a key", quick, "POST", text(), []string{"Idempotency-Key", "7"}, []http.HandlerFunc{status(503), status(200)}, 2, "200 this is 200"},
		{
			"POST by option",
			retry.Config{BaseDelay: -1, RepeatRequest: func(r *http.Request) bool { return r.Method == "POST" }},
			"POST", text(), nil,
			[]http.HandlerFunc{status(503), status(200)},
			2, "200 this is 200",
		},
		{"a stream is not", quick, "PUT", stream{text()}, nil, []http.HandlerFunc{status(503), status(200)}, 1, "503 this is 503"},
		{"a stream that is buffered", retry.Config{BaseDelay: -1, BufferBody: 5}, "PUT", stream{text()}, nil, []http.HandlerFunc{status(503), status(200)}, 2, "200 this is 200"},
		{"a stream longer than the buffer", retry.Config{BaseDelay: -1, BufferBody: 4}, "PUT", stream{text()}, nil, []http.HandlerFunc{status(503), status(200)}, 1, "503 this is 503"},
		{"429", quick, "GET", nil, nil, []http.HandlerFunc{status(429), status(200)}, 2, "200 this is 200"},
		{"408", quick, "GET", nil, nil, []http.HandlerFunc{status(408), status(200)}, 2, "200 this is 200"},
		{"404 is not", quick, "GET", nil, nil, []http.HandlerFunc{status(404)}, 1, "404 this is 404"},
		{"501 is not", quick, "GET", nil, nil, []http.HandlerFunc{status(501)}, 1, "501 this is 501"},
		{"a redirect is the client's", quick, "GET", nil, nil, []http.HandlerFunc{status(302, "Location", "/other"), status(200)}, 2, "200 this is 200"},
		{
			"404 by RetryIf",
			retry.Config{BaseDelay: -1, RetryIf: func(err error) bool {
				var s *retry.StatusError
				return errors.As(err, &s) && s.StatusCode == 404
			}},
			"GET", nil, nil,
			[]http.HandlerFunc{status(404), status(200)},
			2, "200 this is 200",
		},
		{"the server says no", quick, "GET", nil, nil, []http.HandlerFunc{status(503, "Holdfast-Retry", "no"), status(200)}, 1, "503 this is 503"},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, start func(...http.HandlerFunc) *backend) {
				if s, ok := test.body.(io.Seeker); ok {
					s.Seek(0, io.SeekStart)
				} else if s, ok := test.body.(stream); ok {
					s.Reader.(io.Seeker).Seek(0, io.SeekStart)
				}
				b, began := start(test.steps...), time.Now()
				got := do(t, b.client(test.config), test.method, b.URL, test.body, test.header...)
				late := int64(time.Since(began) / (50 * time.Millisecond)) // so many may have been too late to be read to their end
				if got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				seen := b.requests()
				if len(seen) != test.requests {
					t.Fatalf("%d requests, want %d", len(seen), test.requests)
				}
				for i, r := range seen {
					if test.body != nil && r.body != "hello" {
						t.Errorf("request %d had the body %q", i, r.body)
					}
					want := ""
					if i > 0 && seen[0].method == r.method && test.name != "a redirect is the client's" {
						want = fmt.Sprint(i + 1)
					}
					if got := r.header.Get("Holdfast-Attempt"); got != want {
						t.Errorf("request %d told the server attempt %q, want %q", i, got, want)
					}
				}
				if n := b.connections.Load(); test.name != "cut off" && n > 1+late {
					t.Errorf("%d connections: a dropped response is to leave its connection for the next", n)
				}
			})
		})
	}
}

// Nothing reached the server: even a POST goes again.
func TestTransportConnectionRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	defer s.Close()
	addr, refused := "127.0.0.1:1", 0 // nobody listens there, and it is no port that another test could be given
	c := quick
	c.OnRetry = func(e retry.Event) { // now it is up
		if errors.Is(e.Err, syscall.ECONNREFUSED) {
			refused++
		}
		addr = s.Listener.Addr().String()
	}
	base := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: retry.Transport(retry.MustNew(c), base)}
	if got := do(t, client, "POST", s.URL, strings.NewReader("once")); got != "200 once" || refused != 1 {
		t.Errorf("got %q, refused %d times", got, refused)
	}
}

// The attempt timeout ends an attempt that hangs, before the header or in the middle of the body, and not the call. On a busy
// machine it may end others too, so there are enough of them.
func TestTransportAttemptTimeout(t *testing.T) {
	eachProtocol(t, func(t *testing.T, start func(...http.HandlerFunc) *backend) {
		c := quick
		c.AttemptTimeout, c.MaxAttempts = 500*time.Millisecond, 50
		b, p := start(func(w http.ResponseWriter, r *http.Request) {
			if retry.CallerAttempt(r) < 3 {
				hang(w, r)
			}
			status(200)(w, r)
		}), retry.MustNew(c)
		client := &http.Client{Transport: retry.Transport(p, b.Client().Transport)}
		if got := do(t, client, "GET", b.URL, nil); got != "200 this is 200" || p.Snapshot().Attempts < 3 {
			t.Errorf("got %q after %d attempts", got, p.Snapshot().Attempts)
		}
		half := func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			hang(w, r)
		}
		b = start(half)
		handed, base := 0, b.Client().Transport
		client = &http.Client{Transport: retry.Transport(p, roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(r)
			if err == nil {
				handed++
			}
			return resp, err
		}))}
		if got := do(t, client, "GET", b.URL, nil); !strings.Contains(got, "deadline exceeded") || handed != 1 {
			t.Errorf("got %q after %d responses: want the body to end at the timeout, and no repeat of what was handed out", got, handed)
		}
		b, c.MaxAttempts = start(hang), 3
		_, err := b.client(c).Get(b.URL)
		var u *url.Error
		if !errors.As(err, &u) || !u.Timeout() || !errors.Is(err, retry.ErrAttempts) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, Timeout %v", err, u != nil && u.Timeout())
		}
	})
}

// The limit does not end a body that is read in time, and the context does not end with the header.
func TestTransportLongBody(t *testing.T) {
	eachProtocol(t, func(t *testing.T, start func(...http.HandlerFunc) *backend) {
		big := bytes.Repeat([]byte("x"), 1<<20)
		b := start(status(503), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Sum")
			w.Write(big)
			w.Header().Set("Sum", "42")
		})
		c := quick
		c.AttemptTimeout = time.Minute
		resp, err := b.client(c).Get(b.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || len(got) != len(big) || resp.Trailer.Get("Sum") != "42" {
			t.Errorf("%d bytes, %v, trailer %v", len(got), err, resp.Trailer)
		}
		resp.Body.Close()
	})
}

// Retry-After is waited for, but not past the caller's deadline: then the response is handed out at once.
func TestTransportRetryAfterBeyondDeadline(t *testing.T) {
	eachProtocol(t, func(t *testing.T, start func(...http.HandlerFunc) *backend) {
		b := start(status(503, "Retry-After", "20"))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", b.URL, nil)
		resp, err := b.client(quick).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Holdfast-Retry") != "" || len(b.requests()) != 1 {
			t.Errorf("%d, %v after %d requests", resp.StatusCode, resp.Header, len(b.requests()))
		}
	})
}

// counted is a base without a network: it counts the bodies that it hands out and gets.
type counted struct {
	answer         func(n int, r *http.Request) (*http.Response, error)
	n              int
	opened, closed atomic.Int64
}

type countedBody struct {
	io.Reader
	once sync.Once
	c    *counted
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.c.closed.Add(1) })
	return nil
}

func (c *counted) body(text string) io.ReadCloser {
	c.opened.Add(1)
	return &countedBody{Reader: strings.NewReader(text), c: c}
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n++
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return c.answer(c.n, r)
}

func (c *counted) respond(code int, r *http.Request) *http.Response {
	return &http.Response{StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: c.body("text"), ContentLength: 4, Request: r}
}

// On every path each body that was opened is closed, the request is not modified, and the answer is a response or an
// error.
func TestTransportClosesEverything(t *testing.T) {
	errNet := errors.New("net")
	for name, answer := range map[string]func(c *counted, n int, r *http.Request) (*http.Response, error){
		"success": func(c *counted, n int, r *http.Request) (*http.Response, error) { return c.respond(200, r), nil },
		"two failures": func(c *counted, n int, r *http.Request) (*http.Response, error) {
			return c.respond(503-min(n/3, 1)*303, r), nil
		},
		"all fail":   func(c *counted, n int, r *http.Request) (*http.Response, error) { return c.respond(503, r), nil },
		"all errors": func(c *counted, n int, r *http.Request) (*http.Response, error) { return nil, errNet },
		"503 then none": func(c *counted, n int, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return c.respond(503, r), nil
			}
			return nil, errNet
		},
		"both": func(c *counted, n int, r *http.Request) (*http.Response, error) { return c.respond(200, r), errNet },
		"none": func(c *counted, n int, r *http.Request) (*http.Response, error) { return nil, nil },
		"no body": func(c *counted, n int, r *http.Request) (*http.Response, error) {
			resp := c.respond(503, r)
			resp.Body.Close()
			resp.Body, resp.ContentLength = nil, 0
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &counted{}
			c.answer = func(n int, r *http.Request) (*http.Response, error) {
				r.Header.Add("X-Mutated", "1") // it should not; attempts are not to see each other's
				if got := len(r.Header["X-Mutated"]); got != 1 {
					t.Errorf("attempt %d sees %d mutations", n, got)
				}
				return answer(c, n, r)
			}
			r, _ := http.NewRequest("PUT", "http://host/", nil)
			r.Body = c.body("hello")
			r.GetBody = func() (io.ReadCloser, error) { return c.body("hello"), nil }
			body, url := r.Body, *r.URL
			resp, err := retry.Transport(retry.MustNew(quick), c).RoundTrip(r)
			if (resp == nil) == (err == nil) {
				t.Fatalf("got %v and %v", resp, err)
			}
			if resp != nil {
				if resp.Request != r {
					t.Error("resp.Request is not the caller's")
				}
				resp.Body.Close()
			}
			if r.Body != body || *r.URL != url || r.Header.Get("Holdfast-Attempt") != "" {
				t.Error("the caller's request was modified")
			}
			if o, cl := c.opened.Load(), c.closed.Load(); o != cl {
				t.Errorf("%d bodies opened, %d closed", o, cl)
			}
		})
	}
}

// GetBody that fails ends the call with its error; so does PrepareRequest, which sees each request after the first.
func TestTransportHooksFail(t *testing.T) {
	errHook := errors.New("hook")
	c := &counted{}
	c.answer = func(n int, r *http.Request) (*http.Response, error) { return c.respond(503, r), nil }
	r, _ := http.NewRequest("PUT", "http://host/", nil)
	r.Body = c.body("hello")
	r.GetBody = func() (io.ReadCloser, error) { return nil, errHook }
	if _, err := retry.Transport(retry.MustNew(quick), c).RoundTrip(r); !errors.Is(err, errHook) || c.n != 1 {
		t.Errorf("%v after %d requests", err, c.n)
	}
	config := quick
	prepared := 0
	config.PrepareRequest = func(again *http.Request) error {
		if prepared++; again == r {
			t.Error("it got the caller's request")
		}
		again.Header.Set("Date", fmt.Sprint(prepared))
		if prepared == 2 {
			return errHook
		}
		return nil
	}
	r, _ = http.NewRequest("GET", "http://host/", nil)
	c.n = 0
	if _, err := retry.Transport(retry.MustNew(config), c).RoundTrip(r); !errors.Is(err, errHook) || c.n != 2 || prepared != 2 {
		t.Errorf("%v after %d requests, %d prepared", err, c.n, prepared)
	}
	if o, cl := c.opened.Load(), c.closed.Load(); o != cl {
		t.Errorf("%d bodies opened, %d closed", o, cl)
	}
}

// What net/http's callers compare, they still can: an error that was not retried comes as it is.
func TestTransportErrorsAsTheyAre(t *testing.T) {
	for _, want := range []error{http.ErrSkipAltProtocol, context.Canceled, &net.DNSError{IsNotFound: true}} {
		c := &counted{answer: func(int, *http.Request) (*http.Response, error) { return nil, want }}
		r, _ := http.NewRequest("GET", "http://host/", nil)
		if _, err := retry.Transport(retry.MustNew(quick), c).RoundTrip(r); err != want || c.n != 1 {
			t.Errorf("got %v after %d attempts, want %v itself", err, c.n, want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), -1)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://host/", strings.NewReader("x"))
	_, err := (&http.Client{Transport: retry.Transport(retry.MustNew(quick), nil)}).Do(r)
	var u *url.Error
	if !errors.As(err, &u) || !u.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline that was past: %v", err)
	}
}

// A websocket's upgrade goes through untouched: one attempt, and the connection can be written to.
func TestTransportUpgrade(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	}))
	defer s.Close()
	c := quick
	c.AttemptTimeout = time.Minute
	r, _ := http.NewRequest("GET", s.URL, nil)
	r.Header.Set("Connection", "upgrade")
	r.Header.Set("Upgrade", "echo")
	resp, err := retry.Transport(retry.MustNew(c), &http.Transport{}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 101 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	w, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatal("the body is no io.Writer any more")
	}
	io.WriteString(w, "hello\n")
	if got, _ := io.ReadAll(w); string(got) != "echo hello\n" {
		t.Errorf("got %q", got)
	}
}

// Layers of servers do not multiply: who has retried to the end says so, and all above pass it on.
func TestHandlerAcrossProcesses(t *testing.T) {
	eachProtocol(t, func(t *testing.T, start func(...http.HandlerFunc) *backend) {
		bottom := start(status(503))
		url, client := bottom.URL, bottom.client(quick)
		for range 3 {
			below, c := url, client
			layer := start(retry.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				down, _ := http.NewRequestWithContext(r.Context(), "GET", below, nil)
				resp, err := c.Do(down)
				if err != nil {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				resp.Body.Close()
				w.WriteHeader(resp.StatusCode) // nothing else is passed on
			})).ServeHTTP)
			url, client = layer.URL, layer.client(quick)
		}
		if got := do(t, client, "GET", url, nil); got != "503 " {
			t.Errorf("got %q", got)
		}
		if n := len(bottom.requests()); n != 3 {
			t.Errorf("%d requests reached the bottom, want 3", n)
		}
	})
}

func TestCallerAttempt(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	for header, want := range map[string]int{"": 1, "2": 2, "0": 1, "-3": 1, "x": 1, "99999999999999999999": 1000} {
		if r.Header.Set("Holdfast-Attempt", header); retry.CallerAttempt(r) != want {
			t.Errorf("%q: %d, want %d", header, retry.CallerAttempt(r), want)
		}
	}
}
