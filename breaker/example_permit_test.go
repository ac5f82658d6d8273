package breaker_test

import (
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// upload begins in one function and ends in another, so that it is no function that Do could call.
type upload struct{ permit breaker.Permit }

func begin(store *breaker.Breaker) (*upload, error) {
	permit, err := store.Allow()
	if err != nil {
		return nil, err
	}
	return &upload{permit}, nil
}

// end is called once the last byte has been acknowledged, or the connection was lost.
func (u *upload) end(err error) { u.permit.Done(err) }

// How do I guard work that is not a function?
func ExampleBreaker_Allow() {
	store := breaker.MustNew(breaker.Config{Name: "store", ConsecutiveFailures: 1})

	u, err := begin(store)
	fmt.Println("first:", err)
	u.end(errors.New("connection lost"))
	u.end(nil) // too late: the first Done counts

	_, err = begin(store)
	fmt.Println("second refused:", errors.Is(err, breaker.ErrOpen))
	// Output:
	// first: <nil>
	// second refused: true
}
