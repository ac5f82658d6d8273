package httpx_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestErrors(t *testing.T) {
	var (
		refused  = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		reset    = &net.OpError{Op: "read", Err: syscall.ECONNRESET}
		notFound = &net.DNSError{Err: "no such host", IsNotFound: true}
		hostname = x509.HostnameError{Certificate: &x509.Certificate{}, Host: "example.com"}
	)
	tests := []struct {
		name      string
		err       error
		notSent   bool
		permanent bool
	}{
		{name: "nil"},
		{name: "any", err: errors.New("any")},
		{name: "EOF", err: io.EOF},
		{name: "unexpected EOF", err: io.ErrUnexpectedEOF},
		{name: "reset", err: reset},
		{name: "write", err: &net.OpError{Op: "write", Err: syscall.EPIPE}},

		{name: "refused", err: refused, notSent: true},
		{name: "refused, as the client says it", err: &url.Error{Op: "Get", Err: refused}, notSent: true},
		{name: "refused, bare", err: fmt.Errorf("x: %w", syscall.ECONNREFUSED), notSent: true},
		{name: "refused while reading", err: &net.OpError{Op: "read", Err: syscall.ECONNREFUSED}},
		{name: "dial timeout", err: &net.OpError{Op: "dial", Err: timeout{}}, notSent: true},
		{name: "proxy", err: &net.OpError{Op: "proxyconnect", Err: reset}, notSent: true},
		{name: "SOCKS", err: &net.OpError{Op: "socks connect", Err: io.EOF}, notSent: true},
		{name: "two dials", err: errors.Join(refused, refused), notSent: true},
		{name: "a dial and a read", err: errors.Join(refused, reset)},
		{name: "a join of nothing", err: join{}},

		{name: "NXDOMAIN", err: &net.OpError{Op: "dial", Err: notFound}, notSent: true, permanent: true},
		{name: "NXDOMAIN, bare", err: notFound, notSent: true, permanent: true},
		{name: "DNS timeout", err: &net.DNSError{Err: "timeout", IsTimeout: true}, notSent: true},
		{name: "DNS, not found for now", err: &net.DNSError{IsNotFound: true, IsTemporary: true}, notSent: true},

		{
			name: "certificate", err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
			notSent: true, permanent: true,
		},
		{name: "unknown authority", err: x509.UnknownAuthorityError{}, permanent: true},
		{name: "hostname", err: fmt.Errorf("x: %w", hostname), permanent: true},
		{name: "expired", err: x509.CertificateInvalidError{Reason: x509.Expired}, permanent: true},
		{name: "no TLS", err: tls.RecordHeaderError{Msg: "x"}, permanent: true},
		{name: "alert", err: &net.OpError{Op: "remote error", Err: tls.AlertError(40)}}, // may come after the request

		{name: "ErrSkipAltProtocol", err: http.ErrSkipAltProtocol, permanent: true},
		{name: "ErrSchemeMismatch", err: http.ErrSchemeMismatch, permanent: true},
		{name: "ErrUseLastResponse", err: http.ErrUseLastResponse, permanent: true},
		{name: "joined with a passing one", err: errors.Join(reset, hostname), permanent: true},
		{name: "407", err: errors.New("Proxy Authentication Required"), permanent: true},
		// Written out, because net/http reports it or the connection it closed over it.
		{name: "body too short", err: errors.New("http: ContentLength=5 with Body length 1"), permanent: true},
		{name: "quoted further out", err: fmt.Errorf("invalid Host header? %w", reset)},
	}
	for _, tt := range tests {
		if got := httpx.NotSent(tt.err); got != tt.notSent {
			t.Errorf("%s: NotSent(%v) = %t", tt.name, tt.err, got)
		}
		if got := httpx.Permanent(tt.err); got != tt.permanent {
			t.Errorf("%s: Permanent(%v) = %t", tt.name, tt.err, got)
		}
	}
}

// TestMalformed tells what is wrong with the request from what is wrong with where it goes.
func TestMalformed(t *testing.T) {
	for text, want := range map[string][2]bool{ // with the Host of the server, and its own
		"net/http: invalid header field value for \"X\"": {true, true},
		"http: nil Request.URL":                          {true, true},
		"http: invalid Host header":                      {false, true},
		"invalid Host header":                            {false, true},
		"unsupported protocol scheme \"ftp\"":            {false, false},
		"http: no Host in request URL":                   {false, false},
		"Proxy Authentication Required":                  {false, false},
		"reset":                                          {false, false},
	} {
		err := errors.New(text)
		for _, err := range []error{err, fmt.Errorf("x: %w", err), errors.Join(io.EOF, err)} {
			if got := [2]bool{httpx.Malformed(err, false), httpx.Malformed(err, true)}; got != want {
				t.Errorf("%v: %v, want %v", err, got, want)
			}
		}
	}
	if httpx.Malformed(nil, true) || httpx.Malformed(fmt.Errorf("http: nil Request.URL: %w", io.EOF), true) {
		t.Error("a text further out is not looked at")
	}
}

type timeout struct{}

func (timeout) Error() string { return "i/o timeout" }
func (timeout) Timeout() bool { return true }

// speaks has the errors of several attempts, and says itself whether any was sent.
type speaks bool

func (s speaks) Error() string   { return "speaks" }
func (s speaks) NotSent() bool   { return bool(s) }
func (s speaks) Unwrap() []error { return []error{syscall.ECONNREFUSED, errors.New("more")} }

func TestNotSentOfSeveral(t *testing.T) {
	for _, s := range []speaks{true, false} {
		if httpx.NotSent(fmt.Errorf("wrapped: %w", s)) != bool(s) {
			t.Errorf("it says %v", bool(s))
		}
	}
}

type join struct{}

func (join) Error() string   { return "nothing" }
func (join) Unwrap() []error { return nil }

// The texts and types are net/http's, and may change with it: here it says them itself.
func TestErrorsOfNetHTTP(t *testing.T) {
	type check struct {
		name      string
		base      *http.Transport
		req       func(r *http.Request)
		notSent   bool
		permanent bool
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	defer secure.Close()
	to := func(s *httptest.Server, scheme string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Host, r.URL.Scheme = s.Listener.Addr().String(), scheme }
	}
	tests := []check{
		{name: "scheme", req: func(r *http.Request) { r.URL.Scheme = "gopher" }, permanent: true},
		{name: "nil URL", req: func(r *http.Request) { r.URL = nil }, permanent: true},
		{name: "nil header", req: func(r *http.Request) { r.Header = nil }, permanent: true},
		{name: "no host", req: func(r *http.Request) { r.URL.Host = "" }, permanent: true},
		{name: "method", req: func(r *http.Request) { r.Method = "a b" }, permanent: true},
		{name: "header name", req: func(r *http.Request) { r.Header["a b"] = nil }, permanent: true},
		{name: "header value", req: func(r *http.Request) { r.Header.Set("A", "\n") }, permanent: true},
		{name: "trailer", req: func(r *http.Request) { r.Trailer = http.Header{"A": {"\n"}} }, permanent: true},
		{
			name: "Host, to a proxy", base: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: plain.Listener.Addr().String()})},
			req: func(r *http.Request) { r.URL.Host, r.Host = "example.com", "a\x7f" }, permanent: true,
		},
		{name: "path", req: func(r *http.Request) { to(plain, "http")(r); r.URL.Opaque = "/\x01" }, permanent: true},
		{name: "port", req: func(r *http.Request) { r.URL.Host = "127.0.0.1:99999" }, notSent: true, permanent: true},
		{name: "refused", req: func(r *http.Request) { r.URL.Host = closedPort }, notSent: true},
		{name: "unknown authority", req: to(secure, "https"), notSent: true, permanent: true},
		{name: "TLS to a plain server", req: to(plain, "https"), permanent: true},
		{
			name: "TLS handshake timeout", base: &http.Transport{TLSHandshakeTimeout: time.Millisecond},
			req: func(r *http.Request) { r.URL.Scheme, r.URL.Host = "https", silentPort(t) }, notSent: true,
		},
		{name: "closed without an answer", req: func(r *http.Request) { r.URL.Host = hangUpPort(t) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := tt.base
			if base == nil {
				base = &http.Transport{}
			}
			defer base.CloseIdleConnections()
			req := request(t, http.MethodPost, "http://127.0.0.1:1")
			req.Host = ""
			tt.req(req)
			resp, err := base.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
				t.Fatalf("no error, but %s", resp.Status)
			}
			if got := httpx.NotSent(err); got != tt.notSent {
				t.Errorf("NotSent(%v) = %t", err, got)
			}
			if got := httpx.Permanent(err); got != tt.permanent {
				t.Errorf("Permanent(%v) = %t", err, got)
			}
		})
	}
}

// closedPort is one at which nobody listens: it is below those that the system gives to whoever asks for one, which another
// test may be.
const closedPort = "127.0.0.1:1"

// silentPort takes connections and says nothing.
func silentPort(t *testing.T) string { return listen(t).Addr().String() }

// hangUpPort reads a little of the request and closes.
func hangUpPort(t *testing.T) string {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<10))
			c.Close()
		}
	}()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
