package bulkhead_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I have all calls made, a few at a time?
func ExampleBulkhead_Run() {
	mail := bulkhead.MustNew(bulkhead.Config{
		Name:     "mail",
		Limit:    3,
		Queue:    100,
		Interval: -1, // nobody who waits is refused: these callers have all the time there is
	})

	var running, most, sent atomic.Int64
	send := func(context.Context) error {
		defer running.Add(-1)
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Millisecond)
		sent.Add(1)
		return nil
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := mail.Run(context.Background(), send); err != nil {
				fmt.Println(err)
			}
		})
	}
	all.Wait()
	fmt.Println("sent:", sent.Load(), "more than 3 at a time:", most.Load() > 3)
	// Output: sent: 20 more than 3 at a time: false
}
