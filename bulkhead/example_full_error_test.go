package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// What does a refusal tell me?
func ExampleFullError() {
	slots := bulkhead.MustNew(bulkhead.Config{Name: "users", Limit: 1, Queue: 10, MaxWait: 20 * time.Millisecond})
	work := func(context.Context) error { return nil }

	if _, err := slots.TryAcquire(); err != nil { // somebody has the one place, and keeps it
		fmt.Println(err)
		return
	}
	err := slots.Run(context.Background(), work)

	refusal, ok := errors.AsType[*bulkhead.FullError](err)
	if !ok {
		fmt.Println("not refused:", err)
		return
	}
	fmt.Println(refusal.Name, refusal.Reason)
	fmt.Println("waited:", refusal.Waited >= 20*time.Millisecond)
	fmt.Println("fn was not called:", refusal.Refused())
	// Output:
	// users max_wait
	// waited: true
	// fn was not called: true
}
