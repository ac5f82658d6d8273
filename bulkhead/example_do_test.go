package bulkhead_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I bound how many calls run at a time, and what do I do with one too many?
func ExampleDo() {
	search := bulkhead.MustNew(bulkhead.Config{Name: "search", Limit: 2})

	var find func(ctx context.Context, depth int) (string, error)
	find = func(ctx context.Context, depth int) (string, error) {
		found, err := bulkhead.Do(ctx, search, func(ctx context.Context) (string, error) {
			inner, err := find(ctx, depth+1) // while this call runs: one more at a time
			return fmt.Sprintf("%d(%s)", depth, inner), err
		})
		if errors.Is(err, bulkhead.ErrFull) {
			return "what the cache has", nil // search was not called
		}
		return found, err
	}
	fmt.Println(find(context.Background(), 1))
	// Output: 1(2(what the cache has)) <nil>
}
