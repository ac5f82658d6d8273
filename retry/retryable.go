package retry

import (
	"context"
	"errors"
	"net/http"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// StatusError is an HTTP response as RetryIf sees it in a [Transport].
// [errors.As] finds it. It has the StatusCode, a field, and RetryAfter(): for how long the server asked to be left alone, 0 if
// it did not; no body.
type StatusError = httpx.StatusError

// Retryable is the default RetryIf, for a RetryIf of one's own to build on. Every error is worth another attempt but
//   - context.Canceled: whoever cancelled wants no result;
//   - backoff.Permanent;
//   - a refusal (Refused() bool: an open breaker, a full bulkhead), which a repeat would only meet again;
//   - what is exhausted below (Exhausted() bool): three layers of three attempts make 3 calls, not 27;
//   - an HTTP status other than 408, 425, 429, 500, 502, 503 and 504, and errors of net/http that no repeat can mend,
//     such as a bad certificate.
func Retryable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || permanent(err) || failure.Refused(err) || failure.Exhausted(err) {
		return false
	}
	if status, ok := failure.Find[*StatusError](err); ok {
		return httpx.Retryable(status.StatusCode)
	}
	return !httpx.Permanent(err)
}

func permanent(err error) bool {
	_, ok := failure.Find[*backoff.PermanentError](err)
	return ok
}

// repeatable reports whether req may be sent again after err.
func (s *settings) repeatable(req *http.Request, err error) bool {
	if !httpx.Replayable(req) || httpx.IsUpgrade(req) {
		return false
	}
	if httpx.NotSent(err) {
		return true // nothing has reached the server, whatever the method
	}
	if s.RepeatRequest != nil {
		return s.RepeatRequest(req)
	}
	return httpx.Idempotent(req)
}
