package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/retry"
)

// How do I make a function retry wherever it is called?
func ExampleWrap() {
	retries := retry.MustNew(retry.Config{Name: "users", BaseDelay: -1})

	fetch := func(ctx context.Context, id int) (string, error) {
		if retry.AttemptFrom(ctx) == 1 {
			return "", errors.New("connection reset")
		}
		return fmt.Sprint("user ", id), nil
	}
	getUser := retry.Wrap(retries, fetch) // once, where the client is made

	user, err := getUser(context.Background(), 7) // everywhere else, as if it were fetch itself
	fmt.Println(user, err)
	// Output: user 7 <nil>
}
