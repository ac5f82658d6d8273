package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I try a breaker on live traffic before it may refuse anything?
func ExampleBreaker_Force_shadow() {
	search := breaker.MustNew(breaker.Config{Name: "search", ConsecutiveFailures: 3})
	search.Force(breaker.Shadow)

	down := errors.New("search is down")
	for range 10 {
		if err := search.Run(context.Background(), func(context.Context) error { return down }); err != down {
			fmt.Println("refused:", err)
		}
	}
	s := search.Snapshot()
	fmt.Printf("%v, would be %v; of %d calls it would have refused %d\n", s.State, s.Would, s.Failures, s.Shadowed)
	// Output: shadow, would be open; of 10 calls it would have refused 7
}
