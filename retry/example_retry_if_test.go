package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/retry"
)

// How does the policy say which errors are worth another attempt?
//
// Build on [retry.Retryable]: without it, refusals and what was retried to the end below would be repeated too.
func ExampleRetryable() {
	errSoldOut := errors.New("sold out")
	retries := retry.MustNew(retry.Config{
		Name:      "orders",
		BaseDelay: -1,
		RetryIf: func(err error) bool {
			return !errors.Is(err, errSoldOut) && retry.Retryable(err)
		},
	})

	for _, fault := range []error{errSoldOut, errors.New("connection reset")} {
		err := retries.Run(context.Background(), func(context.Context) error { return fault })
		fmt.Println(err)
	}
	// Output:
	// retry orders: not worth a retry after 1 attempt: sold out
	// retry orders: attempts exhausted after 3 attempts: connection reset
}
