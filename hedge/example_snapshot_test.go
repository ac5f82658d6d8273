package hedge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// How do I see what hedging costs, and whether it helps?
func ExamplePolicy_Snapshot() {
	hedges := hedge.MustNew(hedge.Config{Name: "search", FirstDelay: time.Millisecond})

	for i := range 10 {
		_ = hedges.Run(context.Background(), func(ctx context.Context) error {
			if i == 3 && hedge.AttemptFrom(ctx) == 1 {
				<-ctx.Done() // hangs
			}
			return nil
		})
	}

	s := hedges.Snapshot()
	fmt.Printf("%d calls; hedged: %v; won by a hedge: %v\n", s.Calls, s.HedgeShare() > 0, s.WinShare() > 0)
	// Output: 10 calls; hedged: true; won by a hedge: true
}
