package bulkhead_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// TestTokenOfOneWhoGaveUp: who waits for a place, and gives up in the moment in which it comes, spends no token.
func TestTokenOfOneWhoGaveUp(t *testing.T) {
	tooLate := 0
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1, Rate: 1e-6, Burst: 2})
			held := hold(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			result := waits(ctx, b)
			held.Done(nil)
			cancel()
			if err := <-result; err == nil {
				return // it was quicker, and has made its call
			}
			tooLate++
			time.Sleep(time.Second)
			p, err := b.TryAcquire()
			if p.Done(nil); err != nil {
				t.Fatalf("the second token was spent on a call that was not made: %v", err)
			}
			if _, err := b.TryAcquire(); err == nil || refused(t, err).Reason != bulkhead.ReasonRate {
				t.Fatalf("%v: more came back than was taken", err)
			}
		})
	}
	if tooLate == 0 {
		t.Error("it never gave up in that moment: the test shows nothing")
	}
}
