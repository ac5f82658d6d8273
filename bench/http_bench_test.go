package bench_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// stub answers every request with a fresh 200, as cheaply as a RoundTripper can.
type stub struct{}

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// BenchmarkHTTP is a GET that succeeds at once, over a stub.
func BenchmarkHTTP(b *testing.B) {
	theirs := retryablehttp.NewClient()
	theirs.Logger = nil // as its documentation advises for production
	theirs.HTTPClient.Transport = stub{}
	hosts := breaker.MustNewKeyed[string](breaker.KeyedConfig{})
	retries := retry.MustNew(retry.Config{})
	for _, side := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", stub{}},
		{"holdfast-retry", retry.Transport(retries, stub{})},
		{"holdfast-retry-breaker", retry.Transport(retries, breaker.Transport(hosts, stub{}))},
		{"go-retryablehttp", &retryablehttp.RoundTripper{Client: theirs}},
	} {
		b.Run(side.name, func(b *testing.B) {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://stub.example/", nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := side.rt.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}
