package bulkhead_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// A place that is given back at the very moment when somebody begins to wait for it is not overlooked. Two goroutines and
// one place meet in that moment once in some thousand rounds, on two cores. Should nobody come for who waits, the bubble's
// clock goes on to the deadline.
func TestNoTurnIsLost(t *testing.T) {
	rounds := 100_000
	if testing.Short() || raceEnabled {
		rounds /= 20
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for range rounds {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() {
					for range 50 {
						p, err := b.Acquire(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						p.Done(nil)
					}
				})
			}
			if all.Wait(); t.Failed() {
				return
			}
		}
	})
}
