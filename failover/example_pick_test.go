package failover_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/failover"
)

// How do I choose a target for work that is not a function?
//
// A stream, for example, that lasts while other things happen. The result goes to Done.
func ExampleGroup_Pick() {
	streams := failover.MustNew(failover.Config[string]{
		Name:    "streams",
		Balance: failover.LeastLoaded,
		Targets: []failover.Target[string]{{Name: "a", Value: "10.0.0.1:443"}, {Name: "b", Value: "10.0.0.2:443"}},
	})

	first, err := streams.Pick(context.Background())
	if err != nil {
		fmt.Println(err) // a *failover.NoTargetError: errors.Is(err, failover.ErrNoTarget)
		return
	}
	second, err := streams.Pick(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the second goes to another, as the first has one under way:", first.Name != second.Name)

	first.Done(nil)
	second.Done(errors.New("stream reset"))
	second.Done(errors.New("stream reset")) // does nothing

	for _, target := range streams.Snapshot().Targets {
		fmt.Println("under way:", target.InFlight, "ended:", target.Successes+target.Failures)
	}
	// Output:
	// the second goes to another, as the first has one under way: true
	// under way: 0 ended: 1
	// under way: 0 ended: 1
}
