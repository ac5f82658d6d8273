package bulkhead_test

import (
	"fmt"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I change the limit while calls run?
func ExampleBulkhead_Resize() {
	slots := bulkhead.MustNew(bulkhead.Config{Name: "users", Limit: 1})

	if _, err := slots.TryAcquire(); err != nil {
		fmt.Println(err)
	}
	_, err := slots.TryAcquire()
	fmt.Println(err)

	fmt.Println(slots.Resize(2)) // who waits for a place gets in now
	_, err = slots.TryAcquire()
	fmt.Println(err)

	fmt.Println(slots.Resize(0))
	// Output:
	// bulkhead users: full
	// <nil>
	// <nil>
	// bulkhead users.Resize: 0: want at least 1 and at most 1000000
}
