package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// How does a process that starts learn what the one before it knew?
func ExampleBreaker_Restore() {
	config := breaker.Config{Name: "users"}

	before := breaker.MustNew(config)
	before.OpenUntil(time.Now().Add(time.Minute)) // as the dependency has asked
	saved, err := json.Marshal(before.Snapshot())
	if err != nil {
		fmt.Println(err)
		return
	}

	var snapshot breaker.Snapshot
	if err := json.Unmarshal(saved, &snapshot); err != nil {
		fmt.Println(err)
		return
	}
	after := breaker.MustNew(config)
	if err := after.Restore(snapshot); err != nil {
		fmt.Println(err)
		return
	}
	err = after.Run(context.Background(), func(context.Context) error { return nil })
	fmt.Println(after.State(), errors.Is(err, breaker.ErrOpen))
	// Output: open true
}
