package hedge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// How do I hedge a function wherever it is called?
func ExampleWrap() {
	hedges := hedge.MustNew(hedge.Config{Name: "users", FirstDelay: time.Millisecond})

	fetch := func(ctx context.Context, id int) (string, error) {
		if hedge.AttemptFrom(ctx) == 1 {
			<-ctx.Done() // hangs
			return "", context.Cause(ctx)
		}
		return fmt.Sprint("user ", id), nil
	}
	getUser := hedge.Wrap(hedges, fetch) // once, where the client is made

	fmt.Println(getUser(context.Background(), 7)) // everywhere else, as if it were fetch itself
	// Output: user 7 <nil>
}
