package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I have what matters most go first when there is too much?
func ExampleWithPriority() {
	slots := bulkhead.MustNew(bulkhead.Config{
		Name:     "orders",
		Limit:    1,
		Queue:    2,
		Interval: -1, // for the example's sake: nobody is refused for having waited long
	})
	busy, err := slots.TryAcquire()
	if err != nil {
		fmt.Println(err)
		return
	}

	var all sync.WaitGroup
	madeRoom := make(chan struct{})
	come := func(what string, p bulkhead.Priority, queued int) {
		all.Go(func() {
			ctx := bulkhead.WithPriority(context.Background(), p) // as early as it is known: it goes along in the context
			err := slots.Run(ctx, func(context.Context) error { fmt.Println(what); return nil })
			if full, ok := errors.AsType[*bulkhead.FullError](err); ok {
				fmt.Println(what+":", full.Reason)
				close(madeRoom)
			}
		})
		for slots.Snapshot().Queued < queued {
			time.Sleep(time.Millisecond)
		}
	}
	come("browse", bulkhead.Normal, 1)
	come("prefetch", bulkhead.Sheddable, 2)
	come("pay", bulkhead.Critical, 2) // the queue is full: what matters least makes room
	<-madeRoom
	busy.Done(nil)
	all.Wait()
	// Output:
	// prefetch: priority
	// pay
	// browse
}
