package holdfast_test

import (
	"context"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// BenchmarkStack is a success through retry(breaker(fn)), with no SDK installed.
func BenchmarkStack(b *testing.B) {
	ctx := context.Background()
	retries := retry.MustNew(retry.Config{Name: "bench"})
	users := breaker.MustNew(breaker.Config{Name: "bench"})
	fn := func(context.Context, int) (int, error) { return 1, nil }
	wrapped := retry.Wrap(retries, breaker.Wrap(users, fn))
	for _, door := range []struct {
		name string
		call func() (int, error)
	}{
		{"bare", func() (int, error) { return fn(ctx, 1) }},
		{"Do", func() (int, error) {
			return retry.Do(ctx, retries, func(ctx context.Context) (int, error) {
				return breaker.Do(ctx, users, func(ctx context.Context) (int, error) { return fn(ctx, 1) })
			})
		}},
		{"Wrap", func() (int, error) { return wrapped(ctx, 1) }},
	} {
		b.Run(door.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := door.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
