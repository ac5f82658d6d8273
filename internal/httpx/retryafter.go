package httpx

import (
	"math"
	"net/http"
	"net/textproto"
	"time"
)

// The longest wait: what a Retry-After that no [time.Duration] can hold becomes.
const maxDuration = time.Duration(math.MaxInt64)

// RetryAfter reads the Retry-After header (RFC 9110, 10.2.3): a number of
// seconds, or a date in any of the three formats that a recipient must accept.
// Of several header lines the first that makes sense counts; without one it
// returns 0, false.
//
// A date is measured from the response's own Date, if it has a valid one, and
// from now otherwise: the two clocks may be hours apart, but the server's dates
// are from the same one. A date in the past is 0, true: come back at once.
//
// The result is never negative and never wraps: a number too large for a
// Duration becomes the largest Duration, as RFC 9111, 1.2.2 does with
// delta-seconds. To take it for an absent header would turn "stay away" into
// "come at once". Capping it is up to the caller.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	for _, line := range h["Retry-After"] {
		line = textproto.TrimString(line)
		if d, ok := seconds(line); ok {
			return d, true
		}
		if t, err := http.ParseTime(line); err == nil {
			return max(t.Sub(sent(h, now)), 0), true // Sub saturates
		}
	}
	return 0, false
}

// seconds reads delta-seconds: digits and nothing else. Neither strconv nor
// time.ParseDuration will do: both take signs, and both call 20 digits an error.
func seconds(s string) (time.Duration, bool) {
	n, ok := digits(s, int64(maxDuration/time.Second)+1)
	if !ok {
		return 0, false
	}
	if n > int64(maxDuration/time.Second) {
		return maxDuration, true
	}
	return time.Duration(n) * time.Second, true
}

// sent is the time on the server's clock when it sent the response.
func sent(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(textproto.TrimString(h.Get("Date"))); err == nil {
		return t
	}
	return now
}

// digits reads a decimal number without sign, and returns ceiling for every
// number above it. ceiling*10+9 must fit an int64.
func digits(s string, ceiling int64) (int64, bool) {
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), ceiling)
	}
	return n, s != ""
}
