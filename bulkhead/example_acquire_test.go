package bulkhead_test

import (
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// upload begins in one function and ends in another, so that it is no function that Do could call.
type upload struct{ place bulkhead.Permit }

func begin(store *bulkhead.Bulkhead) (*upload, error) {
	place, err := store.TryAcquire() // or Acquire, which waits if there is a Queue
	if err != nil {
		return nil, err
	}
	return &upload{place}, nil
}

// end is called once the last byte has been acknowledged, or the connection was lost.
func (u *upload) end(err error) { u.place.Done(err) }

// How do I hold a place for work that is not a function?
func ExampleBulkhead_Acquire() {
	store := bulkhead.MustNew(bulkhead.Config{Name: "store", Limit: 1})

	first, err := begin(store)
	fmt.Println("first:", err)
	_, err = begin(store)
	fmt.Println("second:", err)

	first.end(errors.New("connection lost"))
	first.end(nil) // does nothing: a place is given back once
	_, err = begin(store)
	fmt.Println("third:", err)
	// Output:
	// first: <nil>
	// second: bulkhead store: full
	// third: <nil>
}
