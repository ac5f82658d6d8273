package failover

import (
	"context"
	"errors"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// StatusError is an HTTP response as FailoverIf and CountIf see it in a [Transport].
// [errors.As] finds it. It has the StatusCode, a field, and RetryAfter(): for how long the server asked to be left alone, 0 if
// it did not; no body.
type StatusError = httpx.StatusError

// Movable is the default FailoverIf, for one of one's own to build on: all but the caller's cancellation,
// backoff.Permanent, and HTTP statuses that another target would answer the same way.
func Movable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) && !failure.Refused(err) || permanent(err) {
		return false
	}
	if status, ok := failure.Find[*StatusError](err); ok {
		return httpx.Retryable(status.StatusCode)
	}
	return true
}

// Countable is the default CountIf, for one of one's own to build on: all but the caller's cancellation,
// backoff.Permanent, refusals (no work was done), and HTTP statuses that are the answer of a healthy server.
func Countable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || failure.Refused(err) || permanent(err) {
		return false
	}
	if status, ok := failure.Find[*StatusError](err); ok {
		return httpx.Failure(status.StatusCode) || httpx.Retryable(status.StatusCode)
	}
	return true
}

func permanent(err error) bool {
	_, is := failure.Find[*backoff.PermanentError](err)
	return is
}
