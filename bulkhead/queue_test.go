package bulkhead_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// TestFirstComeFirstServed: while the queue keeps up, and nobody waits past MaxWait.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1, Queue: 3, MaxWait: time.Second})
		held, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var served []int
		for i := range 5 {
			go func() {
				err := b.Run(t.Context(), func(context.Context) error {
					served = append(served, i)
					time.Sleep(400 * time.Millisecond)
					return nil
				})
				var full *bulkhead.FullError
				if err != nil && (!errors.As(err, &full) || !errors.Is(err, bulkhead.ErrFull)) {
					t.Error(err)
				}
			}()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(45 * time.Millisecond)
		held.Done(nil)
		held.Done(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		s := b.Snapshot()
		if s.InUse != 0 || s.Queued != 0 || len(served) != 3 {
			t.Errorf("served %v, left %+v", served, s)
		}
	})
}
