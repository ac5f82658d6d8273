package bulkhead_test

import (
	"fmt"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I keep one tenant from taking all there is?
func ExampleKeyed() {
	tenants := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{
		Config: bulkhead.Config{Name: "tenants"},
		Total:  8, // of all together; each has a quarter at most
	})

	for range 3 {
		_, err := tenants.Get("greedy").TryAcquire() // or Do, Run, a Handler: it is a bulkhead like any other
		fmt.Println(err)
	}
	_, err := tenants.Get("modest").TryAcquire()
	fmt.Println(err)
	fmt.Println("in use:", tenants.Total().Snapshot().InUse)
	// Output:
	// <nil>
	// <nil>
	// bulkhead tenants[greedy]: full
	// <nil>
	// in use: 3
}
