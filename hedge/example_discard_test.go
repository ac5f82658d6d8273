package hedge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// rows are a result that has to be closed, as those of a database, a file or a response are.
type rows struct {
	attempt int
	closed  chan<- int
}

func (r *rows) Close() error {
	r.closed <- r.attempt
	return nil
}

// Who closes the rows of an attempt that has lost?
//
// [hedge.Do] would drop them: use [hedge.DoDiscard] where a result has to be closed.
func ExampleDoDiscard() {
	hedges := hedge.MustNew(hedge.Config{Name: "orders", FirstDelay: time.Millisecond})
	closed := make(chan int, 2)

	query := func(ctx context.Context) (*rows, error) {
		attempt := hedge.AttemptFrom(ctx)
		if attempt == 1 {
			<-ctx.Done() // it is slow, and comes all the same
		}
		return &rows{attempt, closed}, nil
	}

	result, err := hedge.DoDiscard(context.Background(), hedges, query, func(r *rows) { r.Close() })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("closed: rows of attempt", <-closed) // in the background: the caller does not wait for it
	fmt.Println("to be read: rows of attempt", result.attempt)
	result.Close()
	fmt.Println("closed: rows of attempt", <-closed)
	// Output:
	// closed: rows of attempt 1
	// to be read: rows of attempt 2
	// closed: rows of attempt 2
}
