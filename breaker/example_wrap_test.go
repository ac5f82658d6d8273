package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I put a function behind a breaker wherever it is called?
func ExampleWrap() {
	users := breaker.MustNew(breaker.Config{Name: "users"})

	fetch := func(_ context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil }
	getUser := breaker.Wrap(users, fetch) // once, where the client is made

	fmt.Println(getUser(context.Background(), 7)) // everywhere else, as if it were fetch itself

	users.Force(breaker.ForcedOpen)
	_, err := getUser(context.Background(), 7)
	fmt.Println(err, errors.Is(err, breaker.ErrOpen))
	// Output:
	// user 7 <nil>
	// breaker users: forced_open true
}
