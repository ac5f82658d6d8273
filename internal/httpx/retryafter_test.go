package httpx_test

import (
	"math"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

const forever = time.Duration(math.MaxInt64)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		date  string
		want  time.Duration
		ok    bool
	}{
		{name: "absent"},
		{name: "seconds", lines: []string{"120"}, want: 2 * time.Minute, ok: true},
		{name: "zero", lines: []string{"0"}, ok: true},
		{name: "leading zeros", lines: []string{"0000000000000000000000000000005"}, want: 5 * time.Second, ok: true},
		{name: "space around", lines: []string{" 5\t"}, want: 5 * time.Second, ok: true},
		{name: "largest that fits", lines: []string{"9223372036"}, want: 9223372036 * time.Second, ok: true},
		{name: "one too large", lines: []string{"9223372037"}, want: forever, ok: true},
		{name: "20 digits", lines: []string{"99999999999999999999"}, want: forever, ok: true},
		{name: "max uint64 + 5", lines: []string{"18446744073709551621"}, want: forever, ok: true},
		{name: "a megabyte of digits", lines: []string{strings.Repeat("9", 1<<20)}, want: forever, ok: true},

		{name: "empty", lines: []string{""}},
		{name: "blank", lines: []string{"  "}},
		{name: "negative", lines: []string{"-1"}},
		{name: "plus", lines: []string{"+1"}},
		{name: "fraction", lines: []string{"1.5"}},
		{name: "exponent", lines: []string{"1e3"}},
		{name: "hexadecimal", lines: []string{"0x10"}},
		{name: "underscore", lines: []string{"1_000"}},
		{name: "other digits", lines: []string{"٣"}},
		{name: "unit", lines: []string{"5s"}},
		{name: "list", lines: []string{"5, 5"}},
		{name: "no date", lines: []string{"Wed, 99 Jul 2026 12:00:00 GMT"}},

		{name: "first valid of lines", lines: []string{"", "soon", "3", "4"}, want: 3 * time.Second, ok: true},

		{name: "IMF-fixdate", lines: []string{"Wed, 01 Jul 2026 12:01:00 GMT"}, want: time.Minute, ok: true},
		{name: "RFC 850", lines: []string{"Wednesday, 01-Jul-26 12:01:00 GMT"}, want: time.Minute, ok: true},
		{name: "asctime", lines: []string{"Wed Jul  1 12:01:00 2026"}, want: time.Minute, ok: true},
		{name: "past", lines: []string{"Wed, 01 Jul 2026 11:00:00 GMT"}, ok: true},
		{name: "year 9999", lines: []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, want: forever, ok: true},
		{name: "year 1", lines: []string{"Mon, 01 Jan 0001 00:00:00 GMT"}, ok: true},

		{
			name: "server an hour ahead", date: "Wed, 01 Jul 2026 13:00:00 GMT",
			lines: []string{"Wed, 01 Jul 2026 13:00:30 GMT"}, want: 30 * time.Second, ok: true,
		},
		{
			name: "server an hour behind", date: "Wed, 01 Jul 2026 11:00:00 GMT",
			lines: []string{"Wed, 01 Jul 2026 11:00:30 GMT"}, want: 30 * time.Second, ok: true,
		},
		{
			name: "Date makes no sense", date: "yesterday",
			lines: []string{"Wed, 01 Jul 2026 12:00:30 GMT"}, want: 30 * time.Second, ok: true,
		},
		{
			name: "Date does not matter to seconds", date: "Wed, 01 Jul 2026 11:00:00 GMT",
			lines: []string{"30"}, want: 30 * time.Second, ok: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Retry-After": tt.lines}
			if tt.date != "" {
				h.Set("Date", tt.date)
			}
			got, ok := httpx.RetryAfter(h, noon)
			if got != tt.want || ok != tt.ok {
				t.Errorf("RetryAfter = %v, %t; want %v, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestRetryAfterOfNilHeader(t *testing.T) {
	if got, ok := httpx.RetryAfter(nil, noon); got != 0 || ok {
		t.Errorf("RetryAfter(nil) = %v, %t", got, ok)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{
		"", "0", "5", " 5 ", "5, 5", "1.5", "-1", "+1", "9223372036", "9223372037", "99999999999999999999",
		"Wed, 01 Jul 2026 12:01:00 GMT", "Wednesday, 01-Jul-26 12:01:00 GMT", "Wed Jul  1 12:01:00 2026",
		"Fri, 31 Dec 9999 23:59:59 GMT",
	} {
		f.Add(s, "")
		f.Add(s, "Wed, 01 Jul 2026 13:00:00 GMT")
		f.Add("soon", s)
	}
	f.Fuzz(func(t *testing.T, line, date string) {
		got, ok := httpx.RetryAfter(http.Header{"Retry-After": {line}, "Date": {date}}, noon)
		if got < 0 || !ok && got != 0 {
			t.Fatalf("RetryAfter(%q, Date %q) = %d, %t", line, date, got, ok)
		}
		want, isNumber := referenceSeconds(line)
		if isNumber && (!ok || got != want) {
			t.Fatalf("RetryAfter(%q) = %v, %t; want %v", line, got, ok, want)
		}
		if isDate := !isNumber && ok; isDate {
			if _, err := http.ParseTime(strings.Trim(line, " \t\r\n")); err != nil {
				t.Fatalf("RetryAfter(%q) = %v: neither a number nor a date", line, got)
			}
		}
	})
}

// referenceSeconds is the same in numbers without a limit.
func referenceSeconds(line string) (time.Duration, bool) {
	line = strings.Trim(line, " \t\r\n")
	if line == "" || strings.Trim(line, "0123456789") != "" {
		return 0, false
	}
	n, _ := new(big.Int).SetString(line, 10)
	n.Mul(n, big.NewInt(int64(time.Second)))
	if !n.IsInt64() {
		return forever, true
	}
	return time.Duration(n.Int64()), true
}
