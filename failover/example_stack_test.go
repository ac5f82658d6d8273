package failover_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
)

// Where does it go among other policies?
//
// Inside of the retry, which waits, and asks the group again when all have failed; inside of a hedge; outside of what
// guards a single target. One budget bounds the attempts of all.
func ExampleWrap_stack() {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	retries := retry.MustNew(retry.Config{Name: "users", BaseDelay: -1, Budget: budget})
	users := failover.MustNew(failover.Config[string]{
		Name:    "users",
		Targets: []failover.Target[string]{{Name: "east", Value: "east"}, {Name: "west", Value: "west"}},
		Budget:  budget,
	})

	calls := 0
	fetch := func(_ context.Context, target string, id int) (string, error) {
		calls++
		fmt.Println("asked:", target)
		if calls <= 2 { // for a moment both are gone
			return "", errors.New("connection refused")
		}
		return fmt.Sprintf("user %d, by %s", id, target), nil
	}
	getUser := retry.Wrap(retries, failover.Wrap(users, fetch))

	fmt.Println(getUser(context.Background(), 7))
	// Output:
	// asked: east
	// asked: west
	// asked: east
	// user 7, by east <nil>
}
