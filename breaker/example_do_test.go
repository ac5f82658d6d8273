package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I stop calling something that keeps failing, and what do I do then?
func ExampleDo() {
	users := breaker.MustNew(breaker.Config{
		Name:                "users",
		ConsecutiveFailures: 2, // so soon only for the example: the default is 5
	})

	calls := 0
	getUser := func(context.Context) (string, error) {
		calls++
		return "", errors.New("connection refused")
	}

	for range 4 {
		user, err := breaker.Do(context.Background(), users, getUser)
		if errors.Is(err, breaker.ErrOpen) {
			user, err = "what the cache has", nil
		}
		fmt.Println(user, err)
	}
	fmt.Println("calls:", calls)
	// Output:
	//  connection refused
	//  connection refused
	// what the cache has <nil>
	// what the cache has <nil>
	// calls: 2
}
