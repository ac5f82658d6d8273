package bulkhead_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// TestNobodyIsLeftWhenTheTokenComes: the one that waited for it has gone, and the bulkhead is as free as it was.
func TestNobodyIsLeftWhenTheTokenComes(t *testing.T) {
	for _, limit := range []int{1, 4, 5, 9, 100} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: limit, Queue: 1, Rate: 10, Burst: 1})
			p, err := b.TryAcquire()
			if err != nil {
				t.Fatal(err)
			}
			p.Done(nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			time.AfterFunc(50*time.Millisecond, cancel)
			if p, err := b.Acquire(ctx); what(err) != "ended" {
				t.Fatalf("%v, %v", p, err)
			}
			time.Sleep(time.Second)
			if p, err := b.TryAcquire(); err != nil {
				t.Errorf("limit %d: %v: nobody has a place", limit, err)
			} else {
				p.Done(nil)
			}
		})
	}
}
