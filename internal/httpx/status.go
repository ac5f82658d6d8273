package httpx

import (
	"net/http"
	"strconv"
	"time"
)

// StatusError is an HTTP response seen as an error, so that a RetryIf or a
// Classify can judge it with [errors.As]. It does not hold the response: the
// body stays with whoever holds that.
type StatusError struct {
	StatusCode int
	After      time.Duration // from Retry-After; meaningful if HasAfter; may be the largest duration there is
	HasAfter   bool
	NoRetry    bool // the server marked the response "do not retry"
}

// NewStatusError reads resp's status and headers. now is the time the response
// came: it stands in for the response's Date if it has none.
func NewStatusError(resp *http.Response, now time.Time) *StatusError {
	after, ok := RetryAfter(resp.Header, now)
	return &StatusError{
		StatusCode: resp.StatusCode,
		After:      after,
		HasAfter:   ok,
		NoRetry:    NoRetry(resp.Header),
	}
}

// Error says "http status 503 Service Unavailable". It holds nothing that the
// server or the URL chose, so it is safe to log.
func (e *StatusError) Error() string {
	text := "http status " + strconv.Itoa(e.StatusCode)
	if name := http.StatusText(e.StatusCode); name != "" {
		text += " " + name
	}
	return text
}

// ErrorType is the error.type of the OpenTelemetry HTTP conventions: the status
// code in digits.
func (e *StatusError) ErrorType() string { return strconv.Itoa(e.StatusCode) }

// RetryAfter is how long the server asked to be left alone; 0 if it did not ask.
// It is not capped: a caller that adds to it must mind the overflow.
func (e *StatusError) RetryAfter() time.Duration {
	if !e.HasAfter {
		return 0
	}
	return e.After
}

// Exhausted reports NoRetry: someone below has already retried to the end, and
// a retry above would only multiply the load.
func (e *StatusError) Exhausted() bool { return e.NoRetry }

// Retryable reports whether a response with this status is worth another
// attempt if the request is idempotent. Whether it is, [Idempotent] says.
//
// 408 may be repeated on a new connection (RFC 9110, 15.5.9), 425 without early
// data (RFC 8470, 5.2), 429 after a wait (RFC 6585, 4). 501 and 505 stay as they
// are however often one asks, and every other 4xx is the request's own fault.
func Retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Failure reports whether a breaker should count this status against the
// server: 5xx and 429, which says that it is overloaded. 501 and 505 are answers
// of a healthy server, and so are the other 4xx.
func Failure(status int) bool {
	switch status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500 && status <= 599
}
