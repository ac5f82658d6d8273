package httpx

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
)

// NotSent reports whether err proves that no byte of the request was written, so
// that it may be sent again even if it is not idempotent: the name was not found,
// the connection or the one through the proxy not made, the TLS handshake not
// finished. A reset or an EOF proves nothing, on a reused connection neither:
// net/http repeats by itself what it knows to be safe.
//
// Of several errors in one (errors.Join) each must prove it, unless what joins them has a NotSent method, and so says it itself. One thing it cannot
// see: net/http hands out the error of a request body's Read unchanged. A body
// that dials when it is read can so fail with a dial error after the header is on
// the wire; a caller who repeats a request that is not idempotent must know that the
// error was not the body's.
func NotSent(err error) bool {
	switch e := err.(type) {
	case nil:
		return false
	case *net.OpError:
		// The outermost operation says how far it came. ECONNREFUSED below a "read"
		// (QUIC, over UDP) proves nothing.
		return e.Op == "dial" || e.Op == "proxyconnect" || e.Op == "socks connect"
	case *net.DNSError, *tls.CertificateVerificationError:
		return true
	case syscall.Errno:
		return e == syscall.ECONNREFUSED
	case interface{ NotSent() bool }:
		return e.NotSent() // it has several attempts to speak for, and other errors in it that say nothing about any
	case interface{ Unwrap() []error }:
		return all(e.Unwrap(), NotSent)
	case interface{ Unwrap() error }:
		return NotSent(e.Unwrap())
	case interface{ Timeout() bool }:
		// The type is net/http's own; the text has been this since Go 1.3.
		return e.Timeout() && err.Error() == "net/http: TLS handshake timeout"
	}
	return false
}

func all(errs []error, is func(error) bool) bool {
	for _, err := range errs {
		if !is(err) {
			return false
		}
	}
	return len(errs) > 0
}

// Permanent reports whether another attempt must fail as this one did: the server's
// certificate is not to be trusted, it does not speak TLS, its name does not
// exist, or the request is malformed. What it does not know may pass.
//
// Of several errors in one (errors.Join, or %w twice) a single one is enough. It
// runs on every failed attempt, so it walks the tree once, and allocates nothing.
func Permanent(err error) bool {
	switch e := err.(type) {
	case nil:
		return false
	case *tls.CertificateVerificationError, tls.RecordHeaderError,
		x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError, x509.ConstraintViolationError,
		x509.InsecureAlgorithmError, x509.UnhandledCriticalExtension, x509.SystemRootsError:
		return true // this is not the server, or it speaks no TLS
	case *net.DNSError:
		// The resolver has said for certain that there is no such name. One that could
		// not be asked, or was not sure, may yet find it.
		return e.IsNotFound && !e.IsTemporary && !e.IsTimeout
	case *net.AddrError:
		return true
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), Permanent)
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return Permanent(inner)
		}
	}
	return err == http.ErrSkipAltProtocol || err == http.ErrSchemeMismatch || err == http.ErrUseLastResponse ||
		begins(err, malformedTexts) || begins(err, hostTexts) || begins(err, placeTexts)
}

// Malformed reports whether net/http has refused the request for what it is, and would wherever it were to go: no server
// is to blame, and none would mend it. ownHost says that its Host is its own, too, and not that of the server.
func Malformed(err error, ownHost bool) bool {
	switch e := err.(type) {
	case nil:
		return false
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(inner error) bool { return Malformed(inner, ownHost) })
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return Malformed(inner, ownHost)
		}
	}
	return begins(err, malformedTexts) || ownHost && begins(err, hostTexts)
}

// The texts by which net/http, which has no types for them, refuses a request
// before anything is sent, HTTP/2 in the last lines. All of them are about the
// request itself, which would be the same again.
var malformedTexts = []string{
	"http: nil Request.URL",
	"http: nil Request.Header",
	"http: Request.RequestURI can't be set in client requests",
	"http: ContentLength=",
	"net/http: invalid header ",
	"net/http: invalid trailer ",
	"net/http: invalid method ",
	"net/http: can't write control character in Request.URL",
	"Request.URL is nil",
	"invalid HTTP header ",
	"invalid HTTP trailer ",
	"invalid request :path ",
}

// These are about its Host.
var hostTexts = []string{
	"http: invalid Host header",
	"invalid Host header",
}

// These are about where it is to go.
var placeTexts = []string{
	"unsupported protocol scheme",
	"http: no Host in request URL",
	"http: Request.Write on Request with no Host or URL set",
	"Proxy Authentication Required", // 407 to a CONNECT has no other form
}

// begins looks at an innermost error: a text quoted further out may be about
// something else.
func begins(err error, texts []string) bool {
	text := err.Error()
	return slices.ContainsFunc(texts, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}
