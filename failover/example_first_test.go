package failover_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/failover"
)

// How do I fall back to a cached value, and then to a default?
//
// That needs no Group: there is nothing to choose, and nothing to learn.
func ExampleFirst() {
	cache := map[string]float64{"EUR": 1.08}
	live := func(context.Context) (float64, error) { return 0, errors.New("the exchange is closed") }

	rate := func(currency string) (float64, error) {
		cached := func(context.Context) (float64, error) {
			if rate, ok := cache[currency]; ok {
				return rate, nil
			}
			return 0, errors.New(currency + " is not in the cache")
		}
		return failover.First(context.Background(), live, cached)
	}

	fmt.Println(rate("EUR"))
	fmt.Println(rate("GBP"))
	// Output:
	// 1.08 <nil>
	// 0 failover: the exchange is closed
	// GBP is not in the cache
}
