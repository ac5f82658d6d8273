package retry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/retry"
)

// reads is an io.Reader made of a function.
type reads func([]byte) (int, error)

func (f reads) Read(p []byte) (int, error) { return f(p) }

// body is a request's body that is no reader that net/http knows.
type body struct {
	io.Reader
	io.Closer
}

// What a request's own body fails with is the caller's, and no reason to send it again. Least of all a dial error: it
// looks as if nothing had been sent, when the POST is on the wire already.
func TestBodyThatFailsIsSentOnce(t *testing.T) {
	errX := errors.New("the source of the body is gone")
	for _, test := range []struct {
		method string
		fail   error
	}{
		{"POST", &net.OpError{Op: "dial", Err: errX}},
		{"PUT", &net.OpError{Op: "dial", Err: errX}},
		{"PUT", errX},
	} {
		for _, h2 := range []bool{false, true} {
			arrived := make(chan struct{}, 10)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				io.Copy(io.Discard, r.Body)
			}))
			if s.EnableHTTP2 = h2; h2 {
				s.StartTLS()
			} else {
				s.Start()
			}
			opened := 0
			r, _ := http.NewRequest(test.method, s.URL, nil)
			r.GetBody = func() (io.ReadCloser, error) {
				opened++
				return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 16<<10)), reads(func([]byte) (int, error) {
					<-arrived // it is at the server, beyond doubt
					return 0, test.fail
				}))), nil
			}
			r.Body, _ = r.GetBody()
			p := retry.MustNew(quick)
			_, err := retry.Transport(p, s.Client().Transport).RoundTrip(r)
			s.Close()
			if sn := p.Snapshot(); opened != 1 || sn.Attempts != 1 || sn.Failures != 1 {
				t.Errorf("%s, %v, HTTP/2 %v: sent %d times, want once: %+v", test.method, test.fail, h2, opened, sn)
			}
			if !errors.Is(err, test.fail) || !errors.Is(err, errX) {
				t.Errorf("%s, %v, HTTP/2 %v: got %v", test.method, test.fail, h2, err)
			}
		}
	}
}

// A limit whose sum with 1 overflows would buffer nothing and lose the body.
func TestBufferBodyHasABound(t *testing.T) {
	if _, err := retry.New(retry.Config{BufferBody: 1 << 40}); err != nil {
		t.Error(err)
	}
	for _, n := range []int64{1<<40 + 1, 1<<63 - 1} {
		if _, err := retry.New(retry.Config{BufferBody: n}); err == nil || !strings.Contains(err.Error(), "retry.Config.BufferBody: ") {
			t.Errorf("%d: got %v", n, err)
		}
	}
}

// A body that stalls while it is being kept does not outlive the caller.
func TestBufferingEndsWithTheContext(t *testing.T) {
	eachProtocol(t, func(t *testing.T, start func(...http.HandlerFunc) *backend) {
		b := start(status(200))
		c := quick
		c.BufferBody = 100
		p := retry.MustNew(c)
		ctx, cancel := context.WithCancel(context.Background())
		pipe, _ := io.Pipe()
		stalls := reads(func(p []byte) (int, error) { cancel(); return pipe.Read(p) })
		r, _ := http.NewRequestWithContext(ctx, "PUT", b.URL, body{stalls, pipe})
		if _, err := retry.Transport(p, b.Client().Transport).RoundTrip(r); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if s := p.Snapshot(); len(b.requests()) != 0 || s.Ignored != 1 || s.Calls != 1 {
			t.Errorf("%d requests; %+v", len(b.requests()), s)
		}
	})
}

// The limits of the Config hold for the buffering as for the rest of the call.
func TestBufferingEndsWithTheLimits(t *testing.T) {
	for _, c := range []retry.Config{{MaxElapsed: time.Second}, {AttemptTimeout: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			c.BufferBody = 100
			p, base := retry.MustNew(c), &counted{}
			pipe, _ := io.Pipe()
			start := time.Now()
			r, _ := http.NewRequest("PUT", "http://host/", pipe)
			_, err := retry.Transport(p, base).RoundTrip(r)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || base.n != 0 {
				t.Errorf("%v after %v, %d requests", err, time.Since(start), base.n)
			}
			if s := p.Snapshot(); s.Failures != 1 || s.Calls != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// The body of a tunnel is a conversation: to read it before it is sent is to wait for ever.
func TestConversationIsNotBuffered(t *testing.T) {
	for _, upgrade := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := quick
			c.BufferBody = 100
			pipe, say := io.Pipe()
			r, _ := http.NewRequest("CONNECT", "http://host/", pipe)
			if upgrade {
				r.Method = "GET"
				r.Header.Set("Connection", "keep-alive, Upgrade")
			}
			resp, err := retry.Transport(retry.MustNew(c), roundTripper(func(r *http.Request) (*http.Response, error) {
				go io.WriteString(say, "hello")
				got := make([]byte, 5)
				io.ReadFull(r.Body, got)
				return (&counted{}).respond(200, r), errIf(string(got) != "hello")
			})).RoundTrip(r)
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("%v, %v", resp, err)
			}
		})
	}
}

// A tunnel that stands is nobody's attempt: AttemptTimeout does not cut it.
func TestTunnelOutlivesAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick
		c.AttemptTimeout = time.Second
		here, there := net.Pipe()
		tr := retry.Transport(retry.MustNew(c), roundTripper(func(r *http.Request) (*http.Response, error) {
			context.AfterFunc(r.Context(), func() { here.Close() })
			resp := (&counted{}).respond(200, r)
			resp.Body, resp.ContentLength = here, -1
			return resp, nil
		}))
		r, _ := http.NewRequest("CONNECT", "http://host/", nil)
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		go func() {
			io.WriteString(there, "late")
			there.Close()
		}()
		if got, err := io.ReadAll(resp.Body); string(got) != "late" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		resp.Body.Close()
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func errIf(wrong bool) error {
	if wrong {
		return errBoom
	}
	return nil
}

// A body that stalls while it is buffered is a timeout to those who ask, and nothing permanent to a retry above.
func TestBufferingTimeoutIsATimeout(t *testing.T) {
	stalled, stop := io.Pipe()
	defer stop.Close()
	p := retry.MustNew(retry.Config{BufferBody: 100, AttemptTimeout: 20 * time.Millisecond, BaseDelay: -1})
	c := &http.Client{Transport: retry.Transport(p, http.DefaultTransport)}
	r, err := http.NewRequest(http.MethodPut, "http://127.0.0.1:1/", stalled)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(r)
	var u *url.Error
	var permanent *backoff.PermanentError
	if !errors.As(err, &u) || !u.Timeout() || !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &permanent) {
		t.Errorf("got %v, Timeout %v", err, u != nil && u.Timeout())
	}
}
