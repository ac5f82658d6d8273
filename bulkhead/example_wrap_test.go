package bulkhead_test

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I put a function behind a bulkhead wherever it is called?
func ExampleWrap() {
	slots := bulkhead.MustNew(bulkhead.Config{Name: "users", Limit: 64, Queue: 128})

	fetch := func(_ context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil }
	getUser := bulkhead.Wrap(slots, fetch) // once, where the client is made

	fmt.Println(getUser(context.Background(), 7)) // everywhere else, as if it were fetch itself
	// Output: user 7 <nil>
}
