package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// ErrOpen is what every refusal Is.
var ErrOpen = errors.New("circuit breaker open")

// OpenError is a refusal: the call was not made. There is one for each opening, not one for each call; treat it as
// read-only.
//
// It does not unwrap to its Cause: that was another call's failure. If it did, an opening by a timeout would pass for
// the caller's own deadline, and a RetryIf that lists what to retry would retry refusals.
type OpenError struct {
	Name  string    // of the breaker
	State State     // Open, HalfOpen (all probes are under way) or ForcedOpen
	Until time.Time // when the cool-down ends; zero if that is not known
	Cause error     // the failure that opened it; nil if it was opened by hand

	opener trace.SpanContext // the call that opened it
}

func (e *OpenError) Error() string {
	name := telemetry.Label("breaker", e.Name)
	switch wait := e.RetryAfter(); {
	case wait > 0:
		return fmt.Sprintf("%s: %v, retry in %v", name, e.State, roundUp(wait))
	case e.State == Open:
		return fmt.Sprintf("%s: %v, retry now", name, e.State)
	default:
		return fmt.Sprintf("%s: %v", name, e.State)
	}
}

// roundUp makes a wait readable: 4s, not 3.999741238s.
func roundUp(d time.Duration) time.Duration {
	step := time.Second
	if d < 2*time.Second {
		step = time.Millisecond
	}
	return later(d, step-1) / step * step
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// Refused reports true: no work was done. A retry does not repeat it, a failover moves on at once.
func (e *OpenError) Refused() bool { return true }

// RetryAfter is what is left of the cool-down.
func (e *OpenError) RetryAfter() time.Duration {
	if e.Until.IsZero() {
		return 0
	}
	return max(time.Until(e.Until), 0)
}

// ErrorType is the word for telemetry.
func (e *OpenError) ErrorType() string { return refusedAs[e.State%stateCount] }

var refusedAs = [stateCount]string{Open: "breaker_open", HalfOpen: "breaker_half_open", ForcedOpen: "breaker_forced_open"}

// Timeout reports false: the call was refused, it did not take too long, whatever opened the breaker.
func (e *OpenError) Timeout() bool { return false }

// Temporary reports true.
func (e *OpenError) Temporary() bool { return true }

// Exhausted reports false: nothing was tried, whatever opened the breaker.
func (e *OpenError) Exhausted() bool { return false }

var (
	errProbeTimeout = errors.New("breaker: a probe did not answer in time")
	errSlow         = errors.New("breaker: calls are slow")
	errIgnored      = errors.New("breaker: says nothing about the dependency")
	errNilFunc      = errors.New("fn is nil")
)

// StatusError is an HTTP response as Classify sees it in a [Transport].
// [errors.As] finds it. It has the StatusCode, a field, and RetryAfter(): for how long the server asked to be left alone, 0 if
// it did not; no body.
type StatusError = httpx.StatusError

// DefaultClassify is the default Classify, for one of one's own to build on. Ignored are context.Canceled and
// refusals (Refused() bool: no work was done); an HTTP status is a Failure if it is 429 or 5xx without 501 and 505;
// every other error is a Failure, a deadline too: if the dependency is so slow that callers give up, that is what a
// breaker is for.
func DefaultClassify(err error) Outcome {
	if err == nil {
		return Success
	}
	if failure.Refused(err) || errors.Is(err, context.Canceled) {
		return Ignored
	}
	if status, ok := failure.Find[*StatusError](err); ok && !httpx.Failure(status.StatusCode) {
		return Success
	}
	return Failure
}
