package httpx_test

import (
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestAttempt(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  int
	}{
		{"absent", nil, 1},
		{"no lines", []string{}, 1},
		{"first", []string{"1"}, 1},
		{"third", []string{"3"}, 3},
		{"space around", []string{" 3 "}, 3},
		{"largest", []string{"1000"}, 1000},
		{"beyond", []string{"1001"}, 1000},
		{"zero", []string{"0"}, 1},
		{"negative", []string{"-3"}, 1},
		{"empty", []string{""}, 1},
		{"words", []string{"many"}, 1},
		{"digits, then words", []string{"9 lives"}, 1},
		{"20 digits", []string{"99999999999999999999"}, 1000},
		{"the first line counts", []string{"2", "900"}, 2},
	}
	for _, tt := range tests {
		if got := httpx.Attempt(http.Header{httpx.AttemptHeader: tt.lines}); got != tt.want {
			t.Errorf("%s: Attempt = %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := httpx.Attempt(nil); got != 1 {
		t.Errorf("Attempt(nil) = %d", got)
	}
}

// A name that net/http would write in another way would never be found in the map.
func TestHeaderNamesAreCanonical(t *testing.T) {
	for _, name := range []string{httpx.AttemptHeader, httpx.RetryHeader} {
		if got := http.CanonicalHeaderKey(name); got != name {
			t.Errorf("%q is written %q", name, got)
		}
	}
}

func TestNoRetry(t *testing.T) {
	tests := []struct {
		lines []string
		want  bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"yes"}, false},
		{[]string{"no"}, true},
		{[]string{" No "}, true},
		{[]string{"maybe", "no"}, true},
		{[]string{"nono"}, false},
	}
	for _, tt := range tests {
		if got := httpx.NoRetry(http.Header{httpx.RetryHeader: tt.lines}); got != tt.want {
			t.Errorf("NoRetry(%q) = %t", tt.lines, got)
		}
	}
	h := http.Header{httpx.RetryHeader: {"maybe", "later"}}
	httpx.MarkNoRetry(h)
	if !httpx.NoRetry(h) || len(h[httpx.RetryHeader]) != 1 {
		t.Errorf("after MarkNoRetry the header is %q", h)
	}
}

func FuzzAttempt(f *testing.F) {
	for _, s := range []string{"", "1", " 2 ", "1000", "1001", "-1", "0", "99999999999999999999", "2,3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := httpx.Attempt(http.Header{httpx.AttemptHeader: {line}})
		if want := referenceAttempt(line); got != want {
			t.Fatalf("Attempt(%q) = %d, want %d", line, got, want)
		}
	})
}

func referenceAttempt(line string) int {
	line = strings.Trim(line, " \t\r\n")
	if line == "" || strings.Trim(line, "0123456789") != "" {
		return 1
	}
	n, _ := new(big.Int).SetString(line, 10)
	switch {
	case n.Cmp(big.NewInt(1)) < 0:
		return 1
	case n.Cmp(big.NewInt(1000)) > 0:
		return 1000
	}
	return int(n.Int64())
}
