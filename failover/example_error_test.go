package failover_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/failover"
)

// What do I get when all fail?
func ExampleError() {
	users := failover.MustNew(failover.Config[string]{
		Name:    "users",
		Targets: []failover.Target[string]{{Name: "east"}, {Name: "west"}},
	})
	errFull := errors.New("disk full")

	calls := 0
	err := users.Run(context.Background(), func(context.Context, string) error {
		if calls++; calls == 1 {
			return errFull
		}
		return errors.New("connection refused")
	})

	fmt.Println(err)
	fmt.Println("each error is there:", errors.Is(err, errFull))
	if failed, ok := errors.AsType[*failover.Error](err); ok {
		for _, tried := range failed.Tried {
			fmt.Println(tried.Target, "-", tried.Err)
		}
	}
	// Output:
	// failover users: east: disk full; west: connection refused (no target is left)
	// each error is there: true
	// east - disk full
	// west - connection refused
}
