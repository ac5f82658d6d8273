package failover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/failover"
)

// How do the targets come from service discovery?
//
// Whatever watches it calls Update with all there are now. What has the same name keeps its state. Where discovery has to
// be asked, as DNS has, there is Config.Resolve.
func ExampleGroup_Update() {
	at := func(names ...string) (ts []failover.Target[string]) {
		for _, name := range names {
			ts = append(ts, failover.Target[string]{Name: name, Value: name})
		}
		return ts
	}
	users := failover.MustNew(failover.Config[string]{Name: "users", Targets: at("10.0.0.1", "10.0.0.2")})
	show := func() {
		var states []string
		for _, target := range users.Snapshot().Targets {
			states = append(states, fmt.Sprint(target.Name, " ", target.State))
		}
		fmt.Println(strings.Join(states, ", "))
	}

	for range 5 { // 10.0.0.1 is down
		err := users.Run(context.Background(), func(_ context.Context, target string) error {
			if target == "10.0.0.1" {
				return errors.New("connection refused")
			}
			return nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	show()
	fmt.Println(users.Update(at("10.0.0.3", "10.0.0.1")))
	show()
	fmt.Println(users.Update(at())) // a watcher that has lost its way: the targets stay what they are
	show()
	// Output:
	// 10.0.0.1 ejected, 10.0.0.2 healthy
	// <nil>
	// 10.0.0.3 healthy, 10.0.0.1 ejected
	// failover.Update.Targets: 0: want at least one target
	// 10.0.0.3 healthy, 10.0.0.1 ejected
}
