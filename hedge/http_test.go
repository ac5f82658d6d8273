package hedge_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// soon is a Config of a hedge soon after the first attempt, atOnce of one for failures only.
var (
	soon   = free(ms, 1)
	atOnce = free(time.Hour, 1)
)

// An attempt that hangs is hedged; the second one's response is the caller's, and the first is cancelled.
func TestTransportSecondWins(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		gone := make(chan struct{})
		s := serve(duel(says(200, "second")))
		first := s.pages[1]
		s.pages[1] = func(w http.ResponseWriter, r *http.Request) { first(w, r); close(gone) }
		p := hedge.MustNew(soon)
		r := request(t, "GET", s.URL, nil)
		resp, err := hedge.Transport(p, s.wire).RoundTrip(r)
		if got := text(t, resp, err); got != "200 second" || resp.Request != r {
			t.Errorf("got %q to %p, want it to %p", got, resp.Request, r)
		}
		<-gone
		s.wire.settled(t, 2)
		if n := p.Snapshot(); n.Calls != 1 || n.Successes != 1 || n.Hedges != 1 || n.Wins != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// The first success wins, whichever attempt it is of and however fast others fail.
func TestTransportFailureNeverWins(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		for _, status := range []int{408, 425, 429, 500, 502, 503, 504, 507, 508, 520, 529, 599} {
			failed := make(chan struct{})
			s := serve(pages{1: after(failed, says(200, "first")), 2: says(status, "failure"), 3: says(status, "failure")})
			c := soon
			c.MaxHedges = 2
			answer := make(chan string)
			go func() {
				resp, err := s.client(c).Get(s.URL)
				answer <- text(t, resp, err)
			}()
			s.wire.wait(2, 1)
			s.wire.wait(3, 1)
			close(failed) // the caller has seen two failures, and waits
			if got := <-answer; got != "200 first" {
				t.Errorf("%d: got %q", status, got)
			}
			s.wire.settled(t, 3)
		}
	})
}

// A failure starts the next attempt at once. That costs no connection: the response that lost is read to its end first.
func TestTransportAfterAFailure(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(pages{1: says(503, strings.Repeat("busy", 1000)), 2: says(200, "second")})
		client := s.client(atOnce)
		const calls = 20
		for i := range calls {
			resp, err := client.Get(s.URL)
			if got := text(t, resp, err); got != "200 second" {
				t.Fatalf("got %q", got)
			}
			s.wire.settled(t, 2*(i+1))
		}
		if n := s.connections.Load(); n > 2 {
			t.Errorf("%d calls took %d connections, want 2 at the most", calls, n)
		}
	})
}

// Statuses that a repeat cannot mend are answers.
func TestTransportAnswers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		for _, status := range []int{200, 204, 304, 400, 404, 409, 501, 505} {
			s := serve(pages{0: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }})
			resp, err := s.client(atOnce).Get(s.URL)
			if err != nil || resp.StatusCode != status {
				t.Fatalf("%d: %v, %v", status, resp, err)
			}
			resp.Body.Close()
			s.wire.settled(t, 1)
		}
	})
}

// When all fail it is the first attempt's response, whichever failed first, without an error and with a body that can be
// read.
func TestTransportAllFail(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		failed := make(chan struct{})
		long := strings.Repeat("first", 100_000)
		s := serve(pages{1: after(failed, says(503, long)), 2: says(500, "second")})
		answer := make(chan string)
		r := request(t, "GET", s.URL, nil)
		go func() {
			resp, err := s.over(soon).RoundTrip(r)
			if err == nil && resp.Request != r {
				t.Error("the response is not to the caller's request")
			}
			answer <- text(t, resp, err)
		}()
		s.wire.wait(2, 1)
		close(failed)
		if got := <-answer; got != "503 "+long {
			t.Errorf("got %d bytes, %.20q", len(got), got)
		}
		s.wire.settled(t, 2)
	})
}

// When all fail without a response it is the first attempt's error, with the others behind it; what net/http's callers
// compare, and ask for Timeout, they still can.
func TestTransportErrors(t *testing.T) {
	timeout, refused := &net.OpError{Op: "dial", Err: timeoutError{}}, &net.OpError{Op: "dial", Err: errBoom}
	for name, test := range map[string]struct {
		errs     []error // of the attempts
		timeout  bool
		attempts int
	}{
		"both":                      {[]error{refused, errBoom}, false, 2},
		"the first is a timeout":    {[]error{timeout, errBoom}, true, 2},
		"the second is a timeout":   {[]error{errBoom, timeout}, false, 2},
		"not worth another":         {[]error{http.ErrSkipAltProtocol}, false, 1},
		"its own cancellation":      {[]error{context.Canceled}, false, 1},
		"no such host":              {[]error{&net.DNSError{IsNotFound: true}}, false, 1},
		"a timeout below, canceled": {[]error{context.DeadlineExceeded, errBoom}, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				return nil, test.errs[hedge.AttemptFrom(r.Context())-1]
			})
			p := hedge.MustNew(atOnce)
			_, err := (&http.Client{Transport: hedge.Transport(p, base)}).Get("http://host/")
			var outer *url.Error
			if !errors.As(err, &outer) || outer.Timeout() != test.timeout {
				t.Fatalf("%v, timeout %t", err, outer.Timeout())
			}
			for _, want := range test.errs {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if test.attempts == 1 && outer.Err != test.errs[0] {
				t.Errorf("%v is not the very error of the base", outer.Err)
			}
			if made := p.Snapshot().Hedges + 1; made != uint64(test.attempts) {
				t.Errorf("%d attempts, want %d", made, test.attempts)
			}
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// A connection that breaks off is a failure, and http.Client.Timeout is one of the whole call, by whichever of its two ways
// it comes first: no attempt follows it.
func TestTransportBreaksAndTimesOut(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		s := serve(pages{1: cut, 2: says(200, "second")})
		resp, err := s.client(atOnce).Get(s.URL)
		if got := text(t, resp, err); got != "200 second" {
			t.Errorf("got %q", got)
		}
		s.wire.settled(t, 2)

		// A site of its own: the handler that was cut gives no sign by which its pages could be changed after it.
		s = serve(pages{0: hangs})
		client := s.client(atOnce)
		client.Timeout = 5 * ms
		for range 20 {
			_, err = client.Get(s.URL)
			var outer *url.Error
			if !errors.As(err, &outer) || !outer.Timeout() {
				t.Fatalf("%v", err)
			}
		}
		s.wire.idle(t)
	})
}

// The caller who cancels by the request's Cancel is not helped by another attempt.
func TestTransportRequestCancel(t *testing.T) {
	begun := 0
	cancel := make(chan struct{})
	base := roundTripper(func(*http.Request) (*http.Response, error) {
		begun++
		close(cancel)
		return nil, errBoom // net/http has a word of its own for it
	})
	r := request(t, "GET", "http://host/", nil)
	//lint:ignore SA1019 http.Client.Timeout still uses it
	r.Cancel = cancel
	if _, err := hedge.Transport(hedge.MustNew(atOnce), base).RoundTrip(r); err != errBoom || begun != 1 {
		t.Errorf("%v after %d attempts", err, begun)
	}
}

// Which requests are sent twice. The others reach the base untouched: the very request.
func TestTransportWhatIsHedged(t *testing.T) {
	hello := func() io.Reader { return strings.NewReader("hello") }
	stream := func() io.Reader { return io.MultiReader(hello()) } // no GetBody
	none := func() io.Reader { return nil }
	key := []string{"Idempotency-Key", "7"}
	for _, test := range []struct {
		name   string
		method string
		body   func() io.Reader
		header []string
		hedged bool
	}{
		{"GET", "GET", none, nil, true},
		{"the empty method", "", none, nil, true},
		{"GET with a body", "GET", hello, nil, true},
		{"GET with a stream", "GET", stream, nil, false},
		{"HEAD", "HEAD", none, nil, true},
		{"OPTIONS", "OPTIONS", none, nil, true},
		{"TRACE", "TRACE", none, nil, true},
		{"POST", "POST", hello, nil, false},
		{"PATCH", "PATCH", hello, nil, false},
		{"PUT", "PUT", hello, nil, false},
		{"DELETE", "DELETE", none, nil, false},
		{"POST with a key", "POST", hello, key, true},
		{"POST with another key", "POST", hello, []string{"X-Idempotency-Key", "7"}, true},
		{"POST with a key and a stream", "POST", stream, key, false},
		{"PUT with a key", "PUT", hello, key, true},
		{"PUT with another key", "PUT", hello, []string{"X-Idempotency-Key", "7"}, true},
		{"DELETE with a key", "DELETE", none, key, true},
		{"CONNECT", "CONNECT", none, nil, false},
		{"CONNECT with a key", "CONNECT", none, key, false},
		{"an upgrade", "GET", none, []string{"Connection", "keep-alive, Upgrade", "Upgrade", "websocket"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAccounts()
			r := request(t, test.method, "http://host/", test.body(), test.header...)
			r.Method = test.method
			var seen []string
			untouched := false
			base := roundTripper(func(got *http.Request) (*http.Response, error) {
				untouched = got == r
				body := ""
				if got.Body != nil {
					b, _ := io.ReadAll(got.Body)
					got.Body.Close()
					body = string(b)
				}
				seen = append(seen, got.Method+" "+body+" "+got.Header.Get("Idempotency-Key"))
				return a.response(503, got), nil
			})
			resp, err := hedge.Transport(hedge.MustNew(atOnce), base).RoundTrip(r)
			if got := text(t, resp, err); got != "503 text" {
				t.Errorf("got %q", got)
			}
			a.settled()
			want := 1
			if test.hedged {
				want = 2
			}
			if len(seen) != want || seen[0] != seen[len(seen)-1] || untouched == test.hedged {
				t.Errorf("the base saw %q, the very request: %t", seen, untouched)
			}
		})
	}
}

// HedgeRequest decides otherwise, but not that a body is sent that cannot be.
func TestTransportHedgeRequest(t *testing.T) {
	c := atOnce
	c.HedgeRequest = func(r *http.Request) bool { return r.Method == "POST" }
	a := newAccounts()
	n := 0
	base := roundTripper(func(r *http.Request) (*http.Response, error) { n++; return a.response(503, r), nil })
	for _, test := range []struct {
		method string
		body   io.Reader
		want   int
	}{{"POST", nil, 2}, {"GET", nil, 1}, {"POST", io.MultiReader(), 1}} {
		n = 0
		resp, err := hedge.Transport(hedge.MustNew(c), base).RoundTrip(request(t, test.method, "http://host/", test.body))
		if text(t, resp, err); n != test.want {
			t.Errorf("%s: %d attempts, want %d", test.method, n, test.want)
		}
	}
	a.settled()
}

// Redirects and cookies are the client's: each request of the chain is a call of its own.
func TestTransportRedirectsAndCookies(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(duel(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.SetCookie(w, &http.Cookie{Name: "taste", Value: "sweet"})
				http.Redirect(w, r, "/there", http.StatusFound)
				return
			}
			cookie, err := r.Cookie("taste")
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(w, cookie.Value)
		}))
		client := s.client(soon)
		client.Jar, _ = cookiejar.New(nil)
		resp, err := client.Get(s.URL)
		if got := text(t, resp, err); got != "200 sweet" || resp.Request.URL.Path != "/there" {
			t.Errorf("%q from %v", got, resp.Request.URL)
		}
		s.wire.settled(t, 4)
		resp, err = s.over(soon).RoundTrip(request(t, "GET", s.URL, nil))
		if err != nil || resp.StatusCode != 302 {
			t.Fatalf("%v, %v: a redirect is to be handed out", resp, err)
		}
		resp.Body.Close()
	})
}
