package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/retry"
)

// How do I retry work that returns nothing but an error?
func ExamplePolicy_Run() {
	retries := retry.MustNew(retry.Config{
		Name:      "mail",
		BaseDelay: -1,
		OnRetry: func(e retry.Event) {
			fmt.Printf("attempt %d of %s: %v\n", e.Attempt, e.Name, e.Err)
		},
	})

	err := retries.Run(context.Background(), func(ctx context.Context) error {
		if retry.AttemptFrom(ctx) == 1 {
			return errors.New("mailbox busy")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// attempt 1 of mail: mailbox busy
	// <nil>
}
