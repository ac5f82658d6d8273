package deadline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

func TestLimitEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := deadline.New(t.Context(), time.Now().Add(time.Second))
		start := time.Now()
		<-ctx.Done()
		if d := time.Since(start); d != time.Second || ctx.Err() != context.DeadlineExceeded || !ctx.Expired() {
			t.Errorf("after %v: %v, expired %v", d, ctx.Err(), ctx.Expired())
		}
	})
}
