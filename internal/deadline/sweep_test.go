package deadline_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// forwarding is a context whose AfterFunc is that of another, as those that number the attempts are.
type forwarding struct{ context.Context }

func (f forwarding) AfterFunc(g func()) func() bool { return context.AfterFunc(f.Context, g) }
func (f forwarding) EndsWith() context.Context      { return f.Context }

// TestSweepKeepsOutOfBubbles: what ends with a context that package context can follow only with a goroutine has an AfterFunc
// that makes a channel. A sweep, which is in no bubble, is not to close it.
func TestSweepKeepsOutOfBubbles(t *testing.T) {
	for name, over := range map[string]func(context.Context) context.Context{
		"forwarding": func(ctx context.Context) context.Context { return forwarding{forwarding{ctx}} },
		"ours, released": func(ctx context.Context) context.Context {
			above := deadline.New(ctx, time.Time{})
			above.Release()
			return forwarding{above}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				foreign := newForeign()
				defer foreign.end()
				for range 10 {
					ctx := deadline.New(over(foreign), time.Now().Add(time.Hour))
					ctx.Done()
					ctx.Release()
				}
				for range 6 {
					runtime.GC()
					for range 1000 {
						runtime.Gosched()
					}
				}
			})
		})
	}
}
