package hedge_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/hedge"
)

// After which failures does the next attempt start at once?
//
// Build on [hedge.Hedgeable]: without it, refusals and what was retried to the end below would be tried again too.
func ExampleHedgeable() {
	errNotFound := errors.New("not found")
	hedges := hedge.MustNew(hedge.Config{
		Name: "search",
		HedgeIf: func(err error) bool {
			return !errors.Is(err, errNotFound) && hedge.Hedgeable(err)
		},
	})

	for _, fault := range []error{errNotFound, errors.New("connection reset")} {
		attempts := 0
		err := hedges.Run(context.Background(), func(ctx context.Context) error {
			attempts = hedge.AttemptFrom(ctx) // one after the other here: nothing is shared at a time
			return fault
		})
		fmt.Printf("%d: %v\n", attempts, err)
	}
	// Output:
	// 1: not found
	// 2: hedge search: 2 of 2 attempts failed: connection reset; connection reset
}
