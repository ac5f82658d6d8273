package failover_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// How does a standby take over from a primary, and how do I hear of it?
//
// The primary is back when trials have shown that it is well: not as soon as it answers once.
func ExampleConfig_standby() {
	up := true
	orders := failover.MustNew(failover.Config[string]{
		Name:     "orders",
		Balance:  failover.Ordered, // the default: the first that is healthy
		Targets:  []failover.Target[string]{{Name: "primary", Value: "primary"}, {Name: "standby", Value: "standby"}},
		OnChange: func(e failover.Event) { fmt.Println(e.Target+":", e.From, "to", e.To) },

		// So short that the example is quick: leave them out.
		EjectFor:  time.Millisecond,
		SlowStart: -1,
	})
	call := func(times int) {
		by := ""
		for range times {
			by, _ = failover.Do(context.Background(), orders, func(_ context.Context, target string) (string, error) {
				if target == "primary" && !up {
					return "", errors.New("connection refused")
				}
				return target, nil
			})
		}
		fmt.Println("by the", by)
	}

	call(1)
	up = false
	call(5) // each asks the primary first, and finds out
	up = true
	time.Sleep(2 * time.Millisecond) // longer than it is ejected
	call(4)
	// Output:
	// by the primary
	// primary: healthy to ejected
	// by the standby
	// primary: ejected to probing
	// primary: probing to healthy
	// by the primary
}
