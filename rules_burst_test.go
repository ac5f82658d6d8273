package holdfast_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
)

// A rate limit lets a burst pass: what comes to the breaker behind it all at once makes the ratio count.
func TestBurstMakesTheRatioCount(t *testing.T) {
	for burst, want := range map[int]bool{1: false, 30: true} {
		synctest.Test(t, func(t *testing.T) {
			users := breaker.MustNew(breaker.Config{ConsecutiveFailures: -1})
			slots := bulkhead.MustNew(bulkhead.Config{Limit: 1, Rate: 1, Burst: burst})
			s := holdfast.MustStack(slots, users).For(holdfast.Traffic{PerSecond: 100})
			for range 100 {
				_ = s.Run(t.Context(), func(context.Context) error { return errDown })
			}
			told := ""
			for _, f := range s.Check() {
				told += f.Error()
			}
			if opened := users.State() == breaker.Open; opened != want || strings.Contains(told, "breaker-never-opens") == want {
				t.Errorf("a burst of %d: opened is %v, want %v; Check says %q", burst, opened, want, told)
			}
		})
	}
}
