package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/retry"
)

// How do I call a function again when it fails?
func ExampleDo() {
	retries := retry.MustNew(retry.Config{
		Name:      "users",
		BaseDelay: -1, // no delay, so that the example is quick: leave it out
	})

	getUser := func(ctx context.Context) (string, error) {
		if attempt := retry.AttemptFrom(ctx); attempt < 3 {
			return "", errors.New("connection reset")
		}
		return "Ada", nil
	}

	user, err := retry.Do(context.Background(), retries, getUser)
	fmt.Println(user, err)
	// Output: Ada <nil>
}
