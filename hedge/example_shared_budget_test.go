package hedge_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// How do I bound hedges and retries of one dependency together?
func ExampleBudget() {
	budget := retry.MustNewBudget(retry.BudgetConfig{
		Capacity: 2,  // two attempts more, then only what successes pay for: small, for the example to get there
		Floor:    -1, // and none for nothing, which would hang on the time
	})
	reads := hedge.MustNew(hedge.Config{Name: "reads", Budget: budget})
	writes := retry.MustNew(retry.Config{Name: "writes", BaseDelay: -1, Budget: budget})
	down := func(context.Context) error { return errors.New("database down") }

	fmt.Println(reads.Run(context.Background(), down))
	fmt.Println(writes.Run(context.Background(), down))
	fmt.Println(reads.Run(context.Background(), down))
	fmt.Println("hedges that the budget denied:", reads.Snapshot().Denied["budget"])
	// Output:
	// hedge reads: 2 of 2 attempts failed: database down; database down
	// retry writes: no budget left for a retry after 2 attempts: database down
	// database down
	// hedges that the budget denied: 1
}
