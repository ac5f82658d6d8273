package hedge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// How does the second attempt go to another server?
func ExampleAttemptFrom() {
	hedges := hedge.MustNew(hedge.Config{Name: "search", FirstDelay: time.Millisecond, MaxHedges: 2})
	replicas := []string{"replica-a", "replica-b", "replica-c"}

	ask := func(ctx context.Context, query string) (string, error) {
		replica := replicas[(hedge.AttemptFrom(ctx)-1)%len(replicas)]
		if replica == "replica-a" {
			<-ctx.Done() // it hangs today
			return "", context.Cause(ctx)
		}
		if replica == "replica-b" {
			return "", fmt.Errorf("%s is down", replica) // a failure does not win: the next attempt starts at once
		}
		return query + ", by " + replica, nil
	}

	fmt.Println(hedge.Wrap(hedges, ask)(context.Background(), "kelp"))
	// Output: kelp, by replica-c <nil>
}
