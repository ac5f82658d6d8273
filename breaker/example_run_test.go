package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I guard work that returns nothing but an error?
func ExampleBreaker_Run() {
	mail := breaker.MustNew(breaker.Config{Name: "mail", ConsecutiveFailures: 1})

	send := func(context.Context) error { return errors.New("no route to host") }
	fmt.Println(mail.Run(context.Background(), send))
	fmt.Println(errors.Is(mail.Run(context.Background(), send), breaker.ErrOpen))
	// Output:
	// no route to host
	// true
}
