package hedge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// Where does it go among other policies?
//
// Outside of the breaker (and of a bulkhead), so that each attempt is counted; inside of the retry, so that it learns how
// long one attempt takes.
func ExampleWrap_stack() {
	retries := retry.MustNew(retry.Config{Name: "users", AttemptTimeout: 2 * time.Second})
	hedges := hedge.MustNew(hedge.Config{Name: "users", FirstDelay: time.Millisecond})
	users := breaker.MustNew(breaker.Config{Name: "users", ConsecutiveFailures: 1})

	fetch := func(ctx context.Context, id int) (string, error) {
		if hedge.AttemptFrom(ctx) == 1 {
			<-ctx.Done() // hangs
			return "", context.Cause(ctx)
		}
		return fmt.Sprint("user ", id), nil
	}
	getUser := retry.Wrap(retries, hedge.Wrap(hedges, breaker.Wrap(users, fetch)))

	fmt.Println(getUser(context.Background(), 7))
	fmt.Println("the attempt that lost is no failure: the breaker is", users.State())
	// Output:
	// user 7 <nil>
	// the attempt that lost is no failure: the breaker is closed
}
