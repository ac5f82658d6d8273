package deadline_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestEverythingAtOnce: Done from 100 goroutines while the limit, Cancel, Release and the parent's end race. Whoever
// sees an error finds the channel closed, and the other way round; there is one channel and one error.
func TestEverythingAtOnce(t *testing.T) {
	for round := range 200 {
		parent, cancel := context.WithCancel(t.Context())
		ctx := deadline.New(parent, time.Now().Add(time.Duration(round)*time.Microsecond))
		var wg sync.WaitGroup
		var mu sync.Mutex
		errs := map[error]bool{}
		see := func() {
			err := ctx.Err()
			done := ctx.Done()
			if err != nil {
				mu.Lock()
				errs[err] = true
				mu.Unlock()
				select {
				case <-done:
				default:
					t.Errorf("Err is %v and Done is open", err)
				}
				return
			}
			select {
			case <-done:
				if ctx.Err() == nil {
					t.Error("Done is closed and Err is nil")
				}
			default:
			}
		}
		for g := range 100 {
			wg.Go(func() {
				switch {
				case g == 50 && round%2 == 0:
					cancel()
				case g == 60 && round%3 == 0:
					ctx.Release()
				case g == 70 && round%5 == 0:
					ctx.Cancel()
				case g%10 == 0:
					stop := context.AfterFunc(ctx, func() {
						if ctx.Err() == nil {
							t.Error("called before the end")
						}
					})
					stop()
				case g%10 == 1:
					child, stop := context.WithCancel(ctx)
					_ = child.Err()
					stop()
				}
				see()
				if ctx.Expired() && ctx.Err() != context.DeadlineExceeded {
					t.Error("expired, and", ctx.Err())
				}
			})
		}
		wg.Wait()
		cancel()
		see()
		if ctx.Err() == nil || len(errs) > 1 {
			t.Errorf("round %d: %v; seen %v", round, ctx.Err(), errs)
		}
	}
}
