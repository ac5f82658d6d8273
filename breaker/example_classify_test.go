package breaker_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I say which errors are no fault of the dependency?
//
// Build on [breaker.DefaultClassify]: without it, cancellations and refusals of a policy below would count too.
func ExampleDefaultClassify() {
	database := breaker.MustNew(breaker.Config{
		Name:                "database",
		ConsecutiveFailures: 1,
		Classify: func(err error) breaker.Outcome {
			if errors.Is(err, sql.ErrNoRows) {
				return breaker.Success // it answered: there is no such row
			}
			return breaker.DefaultClassify(err)
		},
	})
	fails := func(err error) func(context.Context) error { return func(context.Context) error { return err } }

	for range 100 {
		_ = database.Run(context.Background(), fails(sql.ErrNoRows))
	}
	fmt.Println(database.State())

	_ = database.Run(context.Background(), fails(sql.ErrConnDone))
	fmt.Println(database.State())
	// Output:
	// closed
	// open
}
