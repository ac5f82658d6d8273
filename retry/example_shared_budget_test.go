package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/retry"
)

// How do I bound the retries of all that call one dependency?
func ExampleBudget() {
	budget, err := retry.NewBudget(retry.BudgetConfig{
		Capacity: 3,  // three retries, then only what successes pay for: small, for the example to get there
		Floor:    -1, // and none for nothing, which would hang on the time
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	reads := retry.MustNew(retry.Config{Name: "reads", BaseDelay: -1, Budget: budget})
	writes := retry.MustNew(retry.Config{Name: "writes", BaseDelay: -1, Budget: budget})
	down := func(context.Context) error { return errors.New("database down") }

	fmt.Println(reads.Run(context.Background(), down))
	fmt.Println(writes.Run(context.Background(), down))
	fmt.Println(writes.Run(context.Background(), down))

	for range 8 { // at an eighth of a token each: one retry
		_ = reads.Run(context.Background(), func(context.Context) error { return nil })
	}
	fmt.Println("tokens:", budget.Available())
	// Output:
	// retry reads: attempts exhausted after 3 attempts: database down
	// retry writes: no budget left for a retry after 2 attempts: database down
	// retry writes: no budget left for a retry after 1 attempt: database down
	// tokens: 1
}
