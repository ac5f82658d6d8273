package httpx_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

func TestHostKey(t *testing.T) {
	tests := []struct{ scheme, host, want string }{
		{"http", "example.com", "example.com"},
		{"http", "Example.COM", "example.com"},
		{"http", "example.com:80", "example.com"},
		{"https", "example.com:443", "example.com"},
		{"HTTPS", "EXAMPLE.com:443", "example.com"},
		{"http", "example.com:443", "example.com:443"},
		{"https", "example.com:80", "example.com:80"},
		{"http", "example.com:8080", "example.com:8080"},
		{"http", "example.com:", "example.com"},
		{"ftp", "example.com:80", "example.com:80"},
		{"", "example.com:80", "example.com:80"},
		{"http", "[::1]", "[::1]"},
		{"http", "[::1]:80", "[::1]"},
		{"http", "[::1]:", "[::1]"},
		{"http", "[2001:DB8::1]:8080", "[2001:db8::1]:8080"},
		{"https", "[fe80::1%En0]:443", "[fe80::1%en0]"},
		{"http", "127.0.0.1:80", "127.0.0.1"},
		{"http", "::80", "::80"},     // no URL is written so; an address loses no part
		{"http", "[::80", "[::80"},   // nor does half of one
		{"http", ":80", ""},          // the local host, says package net
		{"http", "", ""},             // an opaque URL
		{"none", "a:none", "a:none"}, // url.URL made by hand
	}
	for _, tt := range tests {
		if got := httpx.HostKey(&url.URL{Scheme: tt.scheme, Host: tt.host}); got != tt.want {
			t.Errorf("HostKey(%s://%s) = %q, want %q", tt.scheme, tt.host, got, tt.want)
		}
	}
	if got := httpx.HostKey(nil); got != "" {
		t.Errorf("HostKey(nil) = %q", got)
	}
}

func TestHostKeyAllocatesNothing(t *testing.T) {
	for _, host := range []string{"api.example.com", "api.example.com:8080", "api.example.com:443", "[::1]:8443"} {
		u := &url.URL{Scheme: "https", Host: host}
		if n := testing.AllocsPerRun(100, func() { httpx.HostKey(u) }); n != 0 {
			t.Errorf("HostKey(%s): %v allocations", host, n)
		}
	}
}

func FuzzHostKey(f *testing.F) {
	for _, host := range []string{"example.com", "EXAMPLE.com:443", "[::1]:80", "[::1", "::80", ":", "a:b:c", "İ.example:80", "\xff:80"} {
		f.Add("http", host)
		f.Add("https", host)
		f.Add("", host)
	}
	f.Fuzz(func(t *testing.T, scheme, host string) {
		key := httpx.HostKey(&url.URL{Scheme: scheme, Host: host})
		if again := httpx.HostKey(&url.URL{Scheme: scheme, Host: strings.ToUpper(host)}); isASCII(host) && again != key {
			t.Fatalf("HostKey(%q) = %q, but %q in capitals", host, key, again)
		}
		if !strings.HasPrefix(strings.ToLower(host), key) {
			t.Fatalf("HostKey(%q) = %q is not what the host begins with", host, key)
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil || u.Host != host || strings.ContainsAny(host, "[]:") {
			return
		}
		// A plain name with its default port, or none, is one server.
		for scheme, port := range map[string]string{"http": ":80", "https": ":443", "HTTP": ":"} {
			if got := httpx.HostKey(&url.URL{Scheme: scheme, Host: host + port}); got != strings.ToLower(host) {
				t.Fatalf("HostKey(%s://%q) = %q", scheme, host+port, got)
			}
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
