package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/retry"
)

// What do I get when all attempts fail?
func ExampleError() {
	retries := retry.MustNew(retry.Config{Name: "users", BaseDelay: -1})
	errReset := errors.New("connection reset")

	err := retries.Run(context.Background(), func(context.Context) error { return errReset })

	fmt.Println(err)
	fmt.Println("the last error is in it:", errors.Is(err, errReset))
	fmt.Println("and why it stopped:", errors.Is(err, retry.ErrAttempts))
	if failed, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println("attempts:", failed.Attempts)
	}
	// Output:
	// retry users: attempts exhausted after 3 attempts: connection reset
	// the last error is in it: true
	// and why it stopped: true
	// attempts: 3
}
