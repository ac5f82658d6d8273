package httpx

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
)

// Next is the transport that base stands for: base, or if that is nil
// [http.DefaultTransport] as it is at the time of each call.
//
// A nil pointer in an interface that is not nil would fail with the first
// request, far from its cause; Next panics instead.
func Next(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		return &defaultTransport{first: http.DefaultTransport}
	}
	switch v := reflect.ValueOf(base); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		if v.IsNil() {
			panic(fmt.Sprintf("holdfast: the transport is a nil %T; for http.DefaultTransport pass a plain nil", base))
		}
	}
	return base
}

// defaultTransport is http.DefaultTransport, read at each call.
type defaultTransport struct{ first http.RoundTripper }

var errNoTransport = errors.New("http: http.DefaultTransport is nil")

func (d *defaultTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := d.current()
	if base == nil {
		CloseBody(req)
		return nil, errNoTransport
	}
	return base.RoundTrip(req)
}

func (d *defaultTransport) CloseIdleConnections() {
	if base := d.current(); base != nil {
		CloseIdleConnections(base)
	}
}

// Unwrap is the transport that was the default when d was made.
func (d *defaultTransport) Unwrap() http.RoundTripper { return d.first }

// current is http.DefaultTransport, unless that has been made to lead back here:
// after http.DefaultTransport = retry.Transport(p, nil) a call would go round
// until the stack overflows. The transport that was the default before is then
// what the author meant. It is found if every wrap on the way has an Unwrap.
func (d *defaultTransport) current() http.RoundTripper {
	for t := http.DefaultTransport; t != nil; {
		if t == http.RoundTripper(d) {
			return d.first
		}
		u, ok := t.(interface{ Unwrap() http.RoundTripper })
		if !ok {
			break
		}
		t = u.Unwrap()
	}
	return http.DefaultTransport
}

// RoundTrip calls base (nil is http.DefaultTransport) and mends what breaks the
// contract of [http.RoundTripper], so that its callers need not look for it:
//
//   - neither a response nor an error: an error that names base's type,
//   - both: the response's body is closed, the error kept,
//   - a response without a Body: [http.NoBody]; if a length was announced, an
//     error, because an empty body would pass for the whole of it.
//
// [http.Client] treats the three alike. A response or an error that is in order
// comes back unchanged, the very same value: callers compare net/http's errors
// with == and ask them for Timeout() without unwrapping.
func RoundTrip(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close() // the error is the answer
		}
		return nil, err
	case resp == nil:
		return nil, fmt.Errorf("http: RoundTripper %T returned neither a response nor an error", base)
	case resp.Body == nil && resp.ContentLength > 0 && req.Method != http.MethodHead:
		return nil, fmt.Errorf("http: RoundTripper %T returned a response of %d bytes without a Body", base, resp.ContentLength)
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, nil
}

// CloseIdleConnections forwards to base (nil is http.DefaultTransport) if it has
// the method. [http.Client.CloseIdleConnections] reaches a wrapped transport only
// if each wrap passes it on. Only a user's call should lead here: idle
// connections of a shared transport belong to everyone.
func CloseIdleConnections(base http.RoundTripper) {
	if base == nil {
		base = http.DefaultTransport
	}
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Faithful reports whether base is known to leave the request as it is, as the
// contract of [http.RoundTripper] demands and many a middleware does not: it is net/http's own,
// or one of ours over such a one. Of any other, who means to send a request again
// keeps what it may have changed.
func Faithful(base http.RoundTripper) bool {
	switch t := base.(type) {
	case *http.Transport:
		return true
	case *defaultTransport:
		return Faithful(t.current()) // somebody may have put a middleware there since
	case interface{ Faithful() bool }:
		return t.Faithful()
	}
	return false
}
