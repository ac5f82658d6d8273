package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/retry"
)

// eager is a schedule that does not wait before the first retry, and then goes on as another. It suits faults of a
// connection that had been idle for too long: a new one will do.
type eager struct {
	backoff.BackOff
	retried bool
}

func (e *eager) NextBackOff() time.Duration {
	if !e.retried {
		e.retried = true
		return 0
	}
	return e.BackOff.NextBackOff()
}

// How do I use another schedule?
func ExampleConfig_schedule() {
	retries := retry.MustNew(retry.Config{
		Name: "database",
		Backoff: func() backoff.BackOff { // a fresh one for each call that fails
			return &eager{BackOff: retry.FullJitter(100*time.Millisecond, 5*time.Second, nil)}
		},
		OnRetry: func(e retry.Event) { fmt.Println("again in", e.Delay) },
	})

	err := retries.Run(context.Background(), func(ctx context.Context) error {
		if retry.AttemptFrom(ctx) == 1 {
			return errors.New("broken pipe")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// again in 0s
	// <nil>
}
