package failover_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
)

// How does the second attempt of a hedge go to another target?
//
// By itself, if the hedge is outside: what the two have to know of each other is in the context.
func ExampleWrap_hedged() {
	search := failover.MustNew(failover.Config[string]{
		Name:    "search",
		Targets: []failover.Target[string]{{Name: "slow", Value: "the slow one"}, {Name: "quick", Value: "the quick one"}},
	})
	hedges := hedge.MustNew(hedge.Config{Name: "search", FirstDelay: time.Millisecond})

	ask := func(ctx context.Context, target, query string) (string, error) {
		if target == "the slow one" {
			<-ctx.Done() // it is told when it has lost
			return "", context.Cause(ctx)
		}
		return query + ", by " + target, nil
	}
	find := hedge.Wrap(hedges, failover.Wrap(search, ask))

	fmt.Println(find(context.Background(), "kelp"))
	fmt.Println("to have lost is no failure:", search.Snapshot().Targets[0].State)
	// Output:
	// kelp, by the quick one <nil>
	// to have lost is no failure: healthy
}
