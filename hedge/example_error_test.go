package hedge_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/hedge"
)

// What do I get when all attempts fail?
func ExampleError() {
	hedges := hedge.MustNew(hedge.Config{Name: "search"})
	errDown := errors.New("index down")

	err := hedges.Run(context.Background(), func(ctx context.Context) error {
		if hedge.AttemptFrom(ctx) == 1 {
			return errDown // the second attempt starts at once
		}
		return errors.New("replica down")
	})

	fmt.Println(err)
	fmt.Println("the first attempt's error comes first:", errors.Is(err, errDown))
	// Output:
	// hedge search: 2 of 2 attempts failed: index down; replica down
	// the first attempt's error comes first: true
}
