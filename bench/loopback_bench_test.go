package bench_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// BenchmarkLoopback is GETs of a kilobyte from a real server, by way of real connections; without a time limit, and with one
// for each attempt, where the bare client has one for each request. What the sides differ in is less than what one second
// differs from the next; so in each round every client makes one request, in an order of its own, and the results are the mean
// and the 99th percentile of each. With one client at a time that waits for its answer, the inverse of the mean is the
// throughput; but the slowest hundredth is left to the percentile, as one stall of the system would outweigh what the sides differ in.
func BenchmarkLoopback(b *testing.B) {
	body := make([]byte, 1024)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	defer server.Close()
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 16
	defer base.CloseIdleConnections()
	three := threeLayers()
	b.Run("get", func(b *testing.B) {
		compare(b, server.URL, clients(0, append([]tripper{
			{"floor", base},
			{"holdfast.retry", retry.Transport(retry.MustNew(three.retry), base)},
			{"holdfast.hedge", hedge.Transport(hedge.MustNew(hedge.Config{Delay: time.Second}), base)},
			{"go-retryablehttp", retryable(base)},
			{"hedgedhttp", hedged(b, base)},
		}, httpStacks(three, base)...)))
	})
	four := three
	four.retry.AttemptTimeout = limit
	b.Run("get-timeout", func(b *testing.B) {
		compare(b, server.URL, append(clients(limit, []tripper{{"floor", base}}), clients(0, httpStacks(four, base))...))
	})
	b.Run("cold", func(b *testing.B) { cold(b, &http.Client{Transport: base}, server.URL) })
}

// client is a side that has a client of its own.
type client struct {
	name string
	http http.Client
}

func clients(timeout time.Duration, trippers []tripper) []client {
	var cs []client
	for _, t := range trippers {
		cs = append(cs, client{t.name, http.Client{Transport: t.rt, Timeout: timeout}})
	}
	return cs
}

// compare reports for each side the mean and the 99th percentile of its requests. b.N is the requests of each.
func compare(b *testing.B, url string, sides []client) {
	var mu sync.Mutex
	taken := make([][]time.Duration, len(sides))
	var all sync.WaitGroup
	goroutines := runtime.GOMAXPROCS(0)
	b.ResetTimer()
	for g := range goroutines {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(b.N), uint64(g)))
			own := make([][]time.Duration, len(sides))
			for range (b.N + goroutines - 1) / goroutines {
				for _, i := range random.Perm(len(sides)) {
					d, err := get(&sides[i].http, url)
					if err != nil {
						b.Error(sides[i].name, err)
						return
					}
					own[i] = append(own[i], d)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range sides {
				taken[i] = append(taken[i], own[i]...)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(0, "ns/op") // of all sides together: says nothing
	for i, s := range sides {
		if len(taken[i]) == 0 {
			continue
		}
		slices.Sort(taken[i])
		b.ReportMetric(float64(mean(taken[i][:(len(taken[i])*99+99)/100])), s.name+":mean-ns")
		b.ReportMetric(float64(taken[i][len(taken[i])/2]), s.name+":p50-ns")
		b.ReportMetric(float64(taken[i][len(taken[i])*99/100]), s.name+":p99-ns")
	}
}

func mean(ds []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range ds {
		sum += d
	}
	return sum / time.Duration(len(ds))
}

// get is one request, with its own context, until the body is read.
func get(client *http.Client, url string) (time.Duration, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}
