package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I hear of changes of state?
func ExampleConfig_onStateChange() {
	users := breaker.MustNew(breaker.Config{
		Name:                "users",
		ConsecutiveFailures: 2,
		OnStateChange: func(e breaker.Event) {
			fmt.Printf("%s: %v -> %v", e.Name, e.From, e.To)
			if e.Cause != nil {
				fmt.Printf(" (%v)", e.Cause)
			}
			fmt.Println()
		},
	})

	for range 2 {
		_ = users.Run(context.Background(), func(context.Context) error { return errors.New("connection reset") })
	}
	users.Force(breaker.HalfOpen) // rather than wait for the cool-down to end
	_ = users.Run(context.Background(), func(context.Context) error { return nil })
	// Output:
	// users: closed -> open (connection reset)
	// users: open -> half_open
	// users: half_open -> closed
}
