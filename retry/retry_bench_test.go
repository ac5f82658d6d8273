package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/retry"
)

var errBoom = errors.New("boom")

func work(context.Context) (int, error) { return 1, nil }

// bare is called through a variable, as a guarded function is: inlined it would cost nothing.
var bare = work

func BenchmarkBare(b *testing.B) {
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bare(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	p := retry.MustNew(retry.Config{Name: "bench"})
	ctx := context.Background()
	b.Run("success", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := retry.Do(ctx, p, work); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("success/2cores", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := retry.Do(ctx, p, work); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("success/wrap", func(b *testing.B) {
		fn := retry.Wrap(p, func(context.Context, int) (int, error) { return 1, nil })
		b.ReportAllocs()
		for b.Loop() {
			if _, err := fn(ctx, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("success/budget", func(b *testing.B) {
		budget, err := retry.NewBudget(retry.BudgetConfig{})
		if err != nil {
			b.Fatal(err)
		}
		p := retry.MustNew(retry.Config{Budget: budget})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := retry.Do(ctx, p, work); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTwoFailures is the same work for both: two failures, no delay, then a success.
func BenchmarkTwoFailures(b *testing.B) {
	b.Run("holdfast", func(b *testing.B) {
		p := retry.MustNew(retry.Config{BaseDelay: -1})
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			_, err := retry.Do(ctx, p, func(context.Context) (int, error) {
				if n++; n < 3 {
					return 0, errBoom
				}
				return n, nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("backoff-v4", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			_, err := backoff.RetryWithData(func() (int, error) {
				if n++; n < 3 {
					return 0, errBoom
				}
				return n, nil
			}, backoff.WithMaxRetries(&backoff.ZeroBackOff{}, 3))
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

type stub struct{ resp http.Response }

func (s *stub) RoundTrip(*http.Request) (*http.Response, error) {
	r := s.resp
	return &r, nil
}

func BenchmarkTransport(b *testing.B) {
	next := &stub{http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}}
	req, err := http.NewRequest(http.MethodGet, "http://stub/", nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, rt := range map[string]http.RoundTripper{
		"bare":     next,
		"holdfast": retry.Transport(retry.MustNew(retry.Config{}), next),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
