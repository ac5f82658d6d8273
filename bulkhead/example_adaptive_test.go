package bulkhead_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I bound calls to something of which I do not know how many it can take?
func ExampleAdaptive() {
	search := bulkhead.MustNew(bulkhead.Config{
		Name:     "search",
		Adaptive: &bulkhead.Adaptive{Min: 4, Max: 100, Initial: 20},
	})
	fmt.Println("at first:", search.Snapshot().Limit)

	overloaded := func(context.Context) error { return &bulkhead.StatusError{StatusCode: 503} }
	for began := time.Now(); search.Snapshot().Limit == 20 && time.Since(began) < 10*time.Second; {
		_ = search.Run(context.Background(), overloaded)
	}
	fmt.Println("fewer, once it says that it has too much to do:", search.Snapshot().Limit < 20)
	// Output:
	// at first: 20
	// fewer, once it says that it has too much to do: true
}
