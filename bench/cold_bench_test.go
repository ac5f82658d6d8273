package bench_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

// cold reports what policies cost over a stub: in a row, and each time right after a request over loopback, when the caches hold
// what that has left there. The latter is nearer to what a service pays. Two looks at the clock are part of each time.
func cold(b *testing.B, real *http.Client, url string) {
	sides := coldSides()
	rows := []struct {
		unit   string
		before func() error
	}{
		{"warm-ns", func() error { return nil }},
		{"cold-ns", func() error { _, err := get(real, url); return err }},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ResetTimer()
	for _, row := range rows {
		taken := make([][]time.Duration, len(sides))
		for range b.N {
			for i, s := range sides {
				d, err := after(ctx, row.before, s.rt)
				if err != nil {
					b.Fatal(s.name, err)
				}
				taken[i] = append(taken[i], d)
			}
		}
		for i, s := range sides {
			slices.Sort(taken[i])
			b.ReportMetric(float64(mean(taken[i][:(b.N*99+99)/100])), s.name+":"+row.unit)
		}
	}
	b.ReportMetric(0, "ns/op") // of all sides together: says nothing
}

func coldSides() []tripper {
	next, three := bodied{}, threeLayers()
	retries, users, slots := three.make()
	return append([]tripper{
		{"floor", next},
		{"holdfast.retry", retry.Transport(retries, next)},
		{"holdfast.breaker", breaker.TransportFor(users, next)},
		{"holdfast.bulkhead", bulkhead.Transport(slots, next)},
	}, httpStacks(three, next)...)
}

func after(ctx context.Context, before func() error, rt http.RoundTripper) (time.Duration, error) {
	if err := before(); err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stub.example/", nil)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return time.Since(start), err
}

// bodied is a stub whose responses have a body that is no more than Read and Close, as those of net/http.
type bodied struct{}

func (bodied) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: &onlyBody{strings.NewReader("hello")}, Header: http.Header{}, Request: r}, nil
}

type onlyBody struct{ r *strings.Reader }

func (b *onlyBody) Read(p []byte) (int, error) { return b.r.Read(p) }
func (b *onlyBody) Close() error               { return nil }
