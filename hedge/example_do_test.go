package hedge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// How do I call a function again beside a call that takes long?
func ExampleDo() {
	search := hedge.MustNew(hedge.Config{
		Name:         "search",
		MaxExtraLoad: 0.05,             // at most 5 % more calls
		FirstDelay:   time.Millisecond, // until the delay is learned; short, so that the example is quick: leave it out
	})

	// Now and then a call hangs. The next one does not.
	find := func(ctx context.Context) (string, error) {
		if hedge.AttemptFrom(ctx) == 1 {
			<-ctx.Done() // it is told when it has lost
			return "", context.Cause(ctx)
		}
		return "what was sought", nil
	}

	found, err := hedge.Do(context.Background(), search, find)
	fmt.Println(found, err)
	// Output: what was sought <nil>
}
