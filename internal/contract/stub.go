package contract

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Status is an error that travels as an HTTP response: an fn that returns (v, Status(503)) is, behind an HTTP door, a
// server that answers 503 with v for its body.
type Status int

func (s Status) Error() string { return "status " + strconv.Itoa(int(s)) }

// Host is where all HTTP requests of the suite go to.
const Host = "contract.test"

// TransportDoor is the door of an HTTP form. fn stands behind it as a transport that answers at once: its value is
// the body, an error of it is the transport's unless it is a [Status].
func TransportDoor(form func(next http.RoundTripper) http.RoundTripper) Door {
	open := new(atomic.Int64)
	return Door{
		Name: "Transport", HTTP: true, Allocates: true, AtConstruction: true,
		Open: open.Load,
		Call: func(ctx context.Context, fn Func) (int, error) {
			return get(ctx, form(&stub{fn, open}), open)
		},
		NilFunc: func(context.Context) error {
			form((*http.Transport)(nil))
			return nil
		},
	}
}

// stub is a transport that runs fn.
type stub struct {
	fn   Func
	open *atomic.Int64
}

func (s *stub) RoundTrip(req *http.Request) (*http.Response, error) {
	defer req.Body.Close() // as a transport must, also when fn panics
	v, err := s.fn(req.Context())
	status, answered := err.(Status)
	if err != nil && !answered {
		return nil, err
	}
	if err == nil {
		status = http.StatusOK
	}
	return &http.Response{
		StatusCode: int(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Request: req, ContentLength: -1,
		Body: counted(io.NopCloser(strings.NewReader(strconv.Itoa(v))), s.open),
	}, nil
}

// get sends one request, with a body that can be sent again, and reads the whole response as a careful caller does.
func get(ctx context.Context, rt http.RoundTripper, open *atomic.Int64) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+Host+"/", nil)
	if err != nil {
		return 0, err
	}
	req.GetBody = func() (io.ReadCloser, error) {
		return counted(io.NopCloser(strings.NewReader("hello")), open), nil
	}
	req.ContentLength = int64(len("hello"))
	req.Body, _ = req.GetBody()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		if resp != nil {
			return 0, fmt.Errorf("both a response and an error: %w", err)
		}
		return 0, err
	}
	defer resp.Body.Close()
	if resp.Request != req {
		return 0, fmt.Errorf("the response is not to the caller's request")
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(string(text))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = Status(resp.StatusCode)
	}
	return v, err
}

// counted counts a body in open until it is closed. Its writer side, if it has one, is hidden.
func counted(body io.ReadCloser, open *atomic.Int64) io.ReadCloser {
	open.Add(1)
	return &countedBody{ReadCloser: body, open: open}
}

type countedBody struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (b *countedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.open.Add(-1) })
	return err
}
