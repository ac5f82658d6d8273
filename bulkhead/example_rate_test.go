package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I call something no more often than its owner allows?
func ExampleConfig_rate() {
	geocoder := bulkhead.MustNew(bulkhead.Config{
		Name:  "geocoder",
		Limit: 10,
		Rate:  0.1, // calls a second: six a minute
		Burst: 2,   // as many at once
		// With a Queue, calls would wait for their turn.
	})

	for range 3 {
		err := geocoder.Run(context.Background(), func(context.Context) error { return nil })
		fmt.Println(err)
		if full, ok := errors.AsType[*bulkhead.FullError](err); ok {
			fmt.Println("again in", full.RetryAfter().Round(time.Second))
		}
	}
	// Output:
	// <nil>
	// <nil>
	// bulkhead geocoder: too many calls a second
	// again in 10s
}
