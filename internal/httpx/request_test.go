package httpx_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestIdempotent(t *testing.T) {
	tests := []struct {
		method string
		header http.Header
		want   bool
	}{
		{"", nil, true},
		{"GET", nil, true},
		{"HEAD", nil, true},
		{"OPTIONS", nil, true},
		{"TRACE", nil, true},
		{"PUT", nil, true},
		{"DELETE", nil, true},
		{"POST", nil, false},
		{"PATCH", nil, false},
		{"CONNECT", nil, false},
		{"get", nil, false}, // methods are case-sensitive; this one is unknown
		{"POST", http.Header{"Idempotency-Key": {"k"}}, true},
		{"POST", http.Header{"X-Idempotency-Key": {"k"}}, true},
		{"POST", http.Header{"Idempotency-Key": {}}, true},
		{"PATCH", http.Header{"X-Idempotency-Key": nil}, true},
		{"POST", http.Header{"Idempotency": {"k"}}, false},
	}
	for _, tt := range tests {
		if got := httpx.Idempotent(&http.Request{Method: tt.method, Header: tt.header}); got != tt.want {
			t.Errorf("Idempotent(%q, %v) = %t", tt.method, tt.header, got)
		}
	}
}

func TestIsUpgrade(t *testing.T) {
	tests := []struct {
		method string
		lines  []string
		want   bool
	}{
		{"GET", nil, false},
		{"GET", []string{"keep-alive"}, false},
		{"GET", []string{"Upgrade"}, true},
		{"GET", []string{"keep-alive, UPGRADE"}, true},
		{"GET", []string{"keep-alive", "\tupgrade ,close"}, true},
		{"GET", []string{"upgrade-insecure"}, false},
		{"CONNECT", nil, true},
	}
	for _, tt := range tests {
		if got := httpx.IsUpgrade(&http.Request{Method: tt.method, Header: http.Header{"Connection": tt.lines}}); got != tt.want {
			t.Errorf("IsUpgrade(%s, %q) = %t", tt.method, tt.lines, got)
		}
	}
}

func TestReplayable(t *testing.T) {
	stream := io.NopCloser(strings.NewReader("x"))
	tests := []struct {
		name string
		req  *http.Request
		want bool
	}{
		{"nil body", &http.Request{}, true},
		{"NoBody", &http.Request{Body: http.NoBody}, true},
		{"stream", &http.Request{Body: stream}, false},
		{"GetBody", &http.Request{Body: stream, GetBody: func() (io.ReadCloser, error) { return stream, nil }}, true},
	}
	for _, tt := range tests {
		if got := httpx.Replayable(tt.req); got != tt.want {
			t.Errorf("%s: Replayable = %t", tt.name, got)
		}
	}
}

func TestResend(t *testing.T) {
	first := request(t, http.MethodPut, "http://example.com/x")
	first.Header.Set("X-Key", "1")
	first.Trailer = http.Header{"X-Sum": nil}
	first.ContentLength = 5
	bodies := 0
	first.GetBody = func() (io.ReadCloser, error) { bodies++; return io.NopCloser(strings.NewReader("hello")), nil }
	first.Body, _ = first.GetBody()
	before := *first

	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "attempt 2")
	again, err := httpx.Resend(ctx, first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Context() != ctx {
		t.Error("not under the attempt's context")
	}
	if again.Body == first.Body || bodies != 2 {
		t.Errorf("the body is not a fresh one (%d made)", bodies)
	}
	if b, err := io.ReadAll(again.Body); string(b) != "hello" || err != nil {
		t.Errorf("the body is %q, %v", b, err)
	}
	if again.GetBody == nil || again.ContentLength != 5 {
		t.Error("GetBody or ContentLength are lost; net/http could not repeat it after a GOAWAY")
	}

	// What is written on the attempt stays on the attempt ...
	again.Header.Add("X-Key", "2")
	if got := first.Header["X-Key"]; len(got) != 1 {
		t.Errorf("the caller's header is %q", got)
	}
	// ... but the trailers are the caller's, who sets them while the body is read.
	first.Trailer.Set("X-Sum", "42")
	if got := again.Trailer.Get("X-Sum"); got != "42" {
		t.Errorf("the attempt's trailer is %q", got)
	}

	before.GetBody, first.GetBody = nil, nil // not comparable
	if !reflect.DeepEqual(&before, first) {
		t.Error("the caller's request was changed")
	}
}

func TestResendWithoutBody(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		req := request(t, http.MethodPost, "http://example.com")
		req.Body = body
		req.GetBody = func() (io.ReadCloser, error) { t.Error("GetBody called"); return nil, nil }
		again, err := httpx.Resend(t.Context(), req, nil)
		if err != nil || again.Body != body {
			// Anything else than nil or NoBody would be sent chunked.
			t.Errorf("Body %v became %v, %v", body, again.Body, err)
		}
	}
}

func TestResendFails(t *testing.T) {
	lost := errors.New("the file is gone")
	tests := []struct {
		name    string
		getBody func() (io.ReadCloser, error)
		is      error
	}{
		{"no GetBody", nil, nil},
		{"GetBody fails", func() (io.ReadCloser, error) { return nil, lost }, lost},
		{"GetBody returns nothing", func() (io.ReadCloser, error) { return nil, nil }, nil},
	}
	for _, tt := range tests {
		req := request(t, http.MethodPost, "http://example.com")
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("x")), tt.getBody
		again, err := httpx.Resend(t.Context(), req, nil)
		if again != nil || err == nil || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v, %v", tt.name, again, err)
		}
	}
}

func TestCloseBody(t *testing.T) {
	closed := 0
	httpx.CloseBody(&http.Request{})
	httpx.CloseBody(&http.Request{Body: &body{Reader: strings.NewReader(""), closed: &closed}})
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}

// body counts how often it is closed.
type body struct {
	io.Reader
	closed *int
	err    error
}

func (b *body) Close() error { *b.closed++; return b.err }
