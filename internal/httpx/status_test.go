package httpx_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestStatus(t *testing.T) {
	retryable := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true}
	for status := range 1000 {
		failure := status == 429 || status >= 500 && status < 600 && status != 501 && status != 505
		if got := httpx.Retryable(status); got != retryable[status] {
			t.Errorf("Retryable(%d) = %t", status, got)
		}
		if got := httpx.Failure(status); got != failure {
			t.Errorf("Failure(%d) = %t", status, got)
		}
	}
}

func TestStatusError(t *testing.T) {
	tests := []struct {
		status    int
		header    http.Header
		text      string
		typ       string
		after     time.Duration
		hasAfter  bool
		exhausted bool
	}{
		{status: 503, text: "http status 503 Service Unavailable", typ: "503"},
		{status: 599, text: "http status 599", typ: "599"},
		{
			status: 429, header: http.Header{"Retry-After": {"7"}}, text: "http status 429 Too Many Requests", typ: "429",
			after: 7 * time.Second, hasAfter: true,
		},
		{
			status: 503, header: http.Header{"Retry-After": {"0"}}, text: "http status 503 Service Unavailable", typ: "503",
			hasAfter: true,
		},
		{
			status: 500, header: http.Header{"Holdfast-Retry": {"no"}}, text: "http status 500 Internal Server Error", typ: "500",
			exhausted: true,
		},
	}
	for _, tt := range tests {
		err := fmt.Errorf("wrapped: %w", httpx.NewStatusError(&http.Response{StatusCode: tt.status, Header: tt.header}, time.Now()))
		var e *httpx.StatusError
		if !errors.As(err, &e) {
			t.Fatalf("%v is no StatusError", err)
		}
		if e.StatusCode != tt.status || e.Error() != tt.text || e.ErrorType() != tt.typ {
			t.Errorf("%d: %q, type %q; want %q, %q", e.StatusCode, e.Error(), e.ErrorType(), tt.text, tt.typ)
		}
		if e.RetryAfter() != tt.after || e.HasAfter != tt.hasAfter {
			t.Errorf("%d: after %v, %t; want %v, %t", tt.status, e.RetryAfter(), e.HasAfter, tt.after, tt.hasAfter)
		}
		if e.Exhausted() != tt.exhausted {
			t.Errorf("%d: exhausted %t", tt.status, e.Exhausted())
		}
	}
}

// A field without its flag says nothing.
func TestStatusErrorAfterNeedsTheFlag(t *testing.T) {
	if got := (&httpx.StatusError{After: time.Hour}).RetryAfter(); got != 0 {
		t.Errorf("RetryAfter() = %v without HasAfter", got)
	}
}
