package holdfast_test

import (
	"context"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

// stackedCall is a success through a stack, by one way of writing it.
type stackedCall struct {
	name string
	call func(context.Context) (int, error)
}

// stackedCalls are those through retry(breaker(fn)) and retry(breaker(bulkhead(fn))), with no SDK installed, beside the
// bare one.
func stackedCalls() []stackedCall {
	retries := retry.MustNew(retry.Config{Name: "bench"})
	users := breaker.MustNew(breaker.Config{Name: "bench"})
	slots := bulkhead.MustNew(bulkhead.Config{Name: "bench", Limit: 100})
	fn := func(context.Context, int) (int, error) { return 1, nil }
	two := retry.Wrap(retries, breaker.Wrap(users, fn))
	three := retry.Wrap(retries, breaker.Wrap(users, bulkhead.Wrap(slots, fn)))
	return []stackedCall{
		{"bare", func(ctx context.Context) (int, error) { return fn(ctx, 1) }},
		{"Do/2", func(ctx context.Context) (int, error) {
			return retry.Do(ctx, retries, func(ctx context.Context) (int, error) {
				return breaker.Do(ctx, users, func(ctx context.Context) (int, error) { return fn(ctx, 1) })
			})
		}},
		{"Wrap/2", func(ctx context.Context) (int, error) { return two(ctx, 1) }},
		{"Do/3", func(ctx context.Context) (int, error) {
			return retry.Do(ctx, retries, func(ctx context.Context) (int, error) {
				return breaker.Do(ctx, users, func(ctx context.Context) (int, error) {
					return bulkhead.Do(ctx, slots, func(ctx context.Context) (int, error) { return fn(ctx, 1) })
				})
			})
		}},
		{"Wrap/3", func(ctx context.Context) (int, error) { return three(ctx, 1) }},
	}
}

func BenchmarkStack(b *testing.B) {
	ctx := context.Background()
	for _, c := range stackedCalls() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.call(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A success through a stack costs no allocation, under a context that can be cancelled, either.
func TestStackAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes allocations of its own")
	}
	for _, c := range stackedCalls() {
		t.Run(c.name, func(t *testing.T) {
			for name, ctx := range map[string]context.Context{"background": context.Background(), "cancellable": t.Context()} {
				if n := testing.AllocsPerRun(1000, func() {
					if v, err := c.call(ctx); v != 1 || err != nil {
						t.Errorf("got %d, %v", v, err)
					}
				}); n != 0 {
					t.Errorf("%s: %v allocations a call, want none", name, n)
				}
			}
		})
	}
}
