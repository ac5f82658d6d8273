package bench_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/cristalhq/hedgedhttp"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"

	"github.com/holdfast-go/holdfast/hedge"
)

// BenchmarkHedge is a call under a context that can be cancelled. Quiet: fn returns at once, and no hedge fires; holdfast's
// delay is a fixed one, and the one that it learns. Fires: the first attempt hangs until it is cancelled, and the second
// returns at once. There is no delay before it: a short one would measure how long the system takes to wake up.
func BenchmarkHedge(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	quiet := func(context.Context) (int, error) { return 1, nil }
	hangs := func(ctx context.Context, first bool) (int, error) {
		if first {
			<-ctx.Done()
		}
		return 1, nil
	}
	run := func(name string, call func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	do := func(c hedge.Config, fn func(context.Context) (int, error)) func() (int, error) {
		p := hedge.MustNew(c)
		return func() (int, error) { return hedge.Do(ctx, p, fn) }
	}
	theirs := func(delay time.Duration, fn func(failsafe.Execution[int]) (int, error)) func() (int, error) {
		executor := failsafe.With(hedgepolicy.NewWithDelay[int](delay)).WithContext(ctx)
		return func() (int, error) { return executor.GetWithExecution(fn) }
	}
	run("quiet/holdfast", do(hedge.Config{Delay: time.Second}, quiet))
	run("quiet/holdfast-learned", do(hedge.Config{}, quiet))
	run("quiet/failsafe-go", theirs(time.Second, func(e failsafe.Execution[int]) (int, error) { return quiet(e.Context()) }))
	run("fires/holdfast", do(hedge.Config{Delay: -1, MaxExtraLoad: -1}, func(ctx context.Context) (int, error) {
		return hangs(ctx, hedge.AttemptFrom(ctx) == 1)
	}))
	run("fires/failsafe-go", theirs(0, func(e failsafe.Execution[int]) (int, error) {
		return hangs(e.Context(), !e.IsHedge())
	}))
}

// BenchmarkHedgeHTTP is a GET that succeeds at once, over a stub; no hedge fires.
func BenchmarkHedgeHTTP(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hedged, err := hedgedhttp.NewRoundTripper(time.Second, 2, stub{}) // two attempts, the first included
	if err != nil {
		b.Fatal(err)
	}
	for _, side := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", stub{}},
		{"holdfast", hedge.Transport(hedge.MustNew(hedge.Config{Delay: time.Second}), stub{})},
		{"holdfast-learned", hedge.Transport(hedge.MustNew(hedge.Config{}), stub{})},
		{"hedgedhttp", hedged},
		{"failsafehttp", failsafehttp.NewRoundTripper(stub{}, hedgepolicy.NewWithDelay[*http.Response](time.Second))},
	} {
		b.Run(side.name, func(b *testing.B) {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stub.example/", nil)
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
