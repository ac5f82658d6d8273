package deadline_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

var sink <-chan struct{}

// BenchmarkAttempt is one attempt in the context of each kind. The time of the limit is computed once: whoever makes
// an attempt has it.
func BenchmarkAttempt(b *testing.B) {
	parent, cancel := context.WithCancel(b.Context())
	defer cancel()
	limit := time.Now().Add(time.Hour)

	b.Run("quiet", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			deadline.New(parent, limit).Release()
		}
	})
	b.Run("quiet_failed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			deadline.New(parent, limit).Cancel()
		}
	})
	b.Run("quiet_parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				deadline.New(parent, limit).Release()
			}
		})
	})
	b.Run("err", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx := deadline.New(parent, limit)
			if ctx.Err() != nil {
				b.Fatal("ended")
			}
			ctx.Release()
		}
	})
	b.Run("done_released", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx := deadline.New(parent, limit)
			sink = ctx.Done()
			ctx.Release()
		}
	})
	b.Run("done_failed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx := deadline.New(parent, limit)
			sink = ctx.Done()
			ctx.Cancel()
		}
	})
	b.Run("std", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, cancel := context.WithDeadline(parent, limit)
			cancel()
		}
	})
	b.Run("std_done", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithDeadline(parent, limit)
			sink = ctx.Done()
			cancel()
		}
	})
}

// BenchmarkHedged is one of the attempts that run at once: without a limit, released as the winner or cancelled with a
// cause.
func BenchmarkHedged(b *testing.B) {
	parent, cancel := context.WithCancel(b.Context())
	defer cancel()
	release := (*deadline.Context).Release
	lose := func(c *deadline.Context) { c.CancelCause(lost) }
	for _, c := range []struct {
		name string
		life func(*deadline.Context)
	}{
		{"released", release},
		{"lost", lose},
		{"err", func(c *deadline.Context) { _ = c.Err(); c.Release() }},
		{"done_released", func(c *deadline.Context) { sink = c.Done(); c.Release() }},
		{"done_lost", func(c *deadline.Context) { sink = c.Done(); c.CancelCause(lost) }},
		{"lost_cause", func(c *deadline.Context) { c.CancelCause(lost); _ = context.Cause(c) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.life(deadline.New(parent, time.Time{}))
			}
		})
	}
	b.Run("lost_parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				lose(deadline.New(parent, time.Time{}))
			}
		})
	})
	b.Run("std", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, cancel := context.WithCancelCause(parent)
			cancel(errLost)
		}
	})
	b.Run("std_done", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithCancelCause(parent)
			sink = ctx.Done()
			cancel(errLost)
		}
	})
}

// BenchmarkRequest is attempts under a parent of their own, as a server has for each request.
func BenchmarkRequest(b *testing.B) {
	limit := time.Now().Add(time.Hour)
	ours := func(end func(*deadline.Context)) func(context.Context) {
		return func(parent context.Context) {
			ctx := deadline.New(parent, limit)
			sink = ctx.Done()
			end(ctx)
		}
	}
	for _, c := range []struct {
		name string
		life func(context.Context)
	}{
		{"none", func(parent context.Context) { sink = parent.Done() }},
		{"released", ours((*deadline.Context).Release)},
		{"failed", ours((*deadline.Context).Cancel)},
		{"std", func(parent context.Context) {
			ctx, cancel := context.WithDeadline(parent, limit)
			sink = ctx.Done()
			cancel()
		}},
	} {
		for _, attempts := range []int{1, 3} {
			b.Run(fmt.Sprintf("%s/%d", c.name, attempts), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					parent, cancel := context.WithCancel(context.Background())
					for range attempts {
						c.life(parent)
					}
					cancel()
				}
			})
		}
	}
}
