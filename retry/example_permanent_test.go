package retry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/retry"
)

// How does the function itself say that another attempt is pointless?
func ExampleDo_permanent() {
	retries := retry.MustNew(retry.Config{Name: "parser", BaseDelay: -1})
	errSyntax := errors.New("syntax error in line 3")

	_, err := retry.Do(context.Background(), retries, func(context.Context) (int, error) {
		return 0, backoff.Permanent(errSyntax)
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, errSyntax))
	// Output:
	// retry parser: not worth a retry after 1 attempt: syntax error in line 3
	// true
}
