package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// What does a refusal tell me?
func ExampleOpenError() {
	users := breaker.MustNew(breaker.Config{Name: "users", ConsecutiveFailures: 1, OpenFor: time.Minute})
	errRefused := errors.New("connection refused")
	call := func(context.Context) error { return errRefused }

	_ = users.Run(context.Background(), call)
	err := users.Run(context.Background(), call)

	refusal, ok := errors.AsType[*breaker.OpenError](err)
	if !ok {
		fmt.Println("not refused:", err)
		return
	}
	fmt.Println(refusal.Name, "is", refusal.State)
	fmt.Println("the failure that opened it:", refusal.Cause)
	fmt.Println("more than half a minute is left:", refusal.RetryAfter() > 30*time.Second)
	// It is a refusal, and not the failure that caused it: nothing was called.
	fmt.Println(errors.Is(err, breaker.ErrOpen), errors.Is(err, errRefused))
	// Output:
	// users is open
	// the failure that opened it: connection refused
	// more than half a minute is left: true
	// true false
}
