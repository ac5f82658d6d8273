package breaker_test

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I switch a dependency off by hand?
func ExampleBreaker_Force() {
	search := breaker.MustNew(breaker.Config{Name: "search"})
	call := func(context.Context) error { return nil }

	search.Force(breaker.ForcedOpen) // it is being moved
	fmt.Println(search.Run(context.Background(), call))

	search.Reset() // it has been
	fmt.Println(search.Run(context.Background(), call))
	// Output:
	// breaker search: forced_open
	// <nil>
}
