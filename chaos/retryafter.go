package chaos

import (
	"net/http"
	"slices"
	"strings"
)

// AnyRetryAfter as Fault.RetryAfter is one of [RetryAfters], which one the call's identity decides.
const AnyRetryAfter = "*"

// RetryAfters are values of Retry-After to try clients with: each is the lines of one response. Some are plain, most are
// absurd, and all have been seen from servers or follow from how the header is read: too large for an int64 or, in
// nanoseconds, for a time.Duration; signs, fractions, lists, other digits; dates of all three formats, long past and far ahead.
func RetryAfters() [][]string {
	all := slices.Clone(retryAfters)
	for i := range all {
		all[i] = slices.Clone(all[i])
	}
	return all
}

var retryAfters = [][]string{
	{"0"},
	{"1"},
	{"3600"},
	{"-1"},
	{"+5"},
	{"1.5"},
	{"1e9"},
	{"0x10"},
	{"5s"},
	{"5, 5"},
	{"００５"},
	{"٣"},
	{"NaN"},
	{"Infinity"},
	{"soon"},
	{""},
	{";"},
	{"2147483648"},
	{"9223372036"},
	{"9223372037"},
	{"9223372036854775807"},
	{"9223372036854775808"},
	{"18446744073709551615"},
	{"99999999999999999999"},
	{strings.Repeat("9", 4000)},
	{strings.Repeat("0", 4000) + "1"},
	{"Thu, 01 Jan 1970 00:00:00 GMT"},
	{"Fri, 31 Dec 9999 23:59:59 GMT"},
	{"Sun, 06 Nov 1994 08:49:37 GMT"},
	{"Sunday, 06-Nov-94 08:49:37 GMT"},
	{"Sun Nov  6 08:49:37 1994"},
	{"Fri, 31 Dec 9999 23:59:59 +1400"},
	{"Mon, 32 Jan 2030 25:61:61 GMT"},
	{"2030-01-01T00:00:00Z"},
	{"1893456000"},
	{"1", "3600"},
	{"soon", "2"},
	{"", ""},
	{"-1", "99999999999999999999"},
}

// putRetryAfter puts the lines into a response's header.
func (f *Fault) putRetryAfter(h http.Header, c *dice) {
	switch f.RetryAfter {
	case "":
	case AnyRetryAfter:
		h["Retry-After"] = slices.Clone(retryAfters[c.next()%uint64(len(retryAfters))])
	default:
		h.Set("Retry-After", f.RetryAfter)
	}
}
