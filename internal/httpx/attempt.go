package httpx

import (
	"net/http"
	"net/textproto"
	"strings"
)

// The headers by which two processes keep their retries from multiplying.
const (
	// AttemptHeader is on a request the number of the attempt, sent from the
	// second on: an ordinary first request looks like any other client's.
	AttemptHeader = "Holdfast-Attempt"

	// RetryHeader with the value "no" marks a response "do not retry": the server
	// has tried what could be tried, or is too loaded to be asked again.
	RetryHeader = "Holdfast-Retry"
)

const (
	noRetry     = "no"
	maxAttempts = 1000 // far above any sensible policy; keeps arithmetic on it harmless
)

// MarkNoRetry marks a response "do not retry". h is the response's header,
// before it is written.
func MarkNoRetry(h http.Header) { h.Set(RetryHeader, noRetry) }

// NoRetry reports whether the server marked its response "do not retry".
func NoRetry(h http.Header) bool {
	for _, line := range h[RetryHeader] {
		if strings.EqualFold(textproto.TrimString(line), noRetry) {
			return true
		}
	}
	return false
}

// Attempt is the number of the attempt that a request says it is: 1 for the
// first, and for a header that is absent or makes no sense. Any client may write
// anything there, so it is kept within 1 and 1000, and the first line counts.
func Attempt(h http.Header) int {
	lines := h[AttemptHeader]
	if len(lines) == 0 {
		return 1
	}
	n, _ := digits(textproto.TrimString(lines[0]), maxAttempts)
	return max(int(n), 1)
}
