package chaos_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
	"github.com/holdfast-go/holdfast/failover"
)

// How do I take out one target of a failover at a time, and see that nobody notices?
//
// Each target has an Injector in front of it, and the monkey switches one on. So a target fails as it would by itself, and the
// group has to find out; with a [chaos.Latency] or a [chaos.BlackHole] in place of the reset, that is harder for it.
func ExampleMonkey_failover() {
	cables := map[string]*chaos.Injector{}
	var targets []failover.Target[string]
	for _, name := range []string{"north", "south", "west"} {
		cables[name] = chaos.MustNew(chaos.Config{Name: name, Faults: []chaos.Fault{{Kind: chaos.Reset, Rate: 1}}})
		targets = append(targets, failover.Target[string]{Name: name, Value: name})
	}
	regions := failover.MustNew(failover.Config[string]{Name: "users", Balance: failover.RoundRobin, Targets: targets})
	defer regions.Close()
	getUser := func() (string, error) {
		return failover.Do(context.Background(), regions, func(ctx context.Context, region string) (string, error) {
			return chaos.Do(ctx, cables[region], func(context.Context) (string, error) { return "Ada", nil })
		})
	}

	taken := make(chan string) // for the example
	monkey := chaos.MustNewMonkey(chaos.MonkeyConfig{
		Name: "users", Seed: 3,
		Members: func() (names []string) {
			for _, t := range regions.Snapshot().Targets {
				names = append(names, t.Name)
			}
			return names
		},
		TakeOut: func(name string) (restore func()) {
			cables[name].Enable()
			taken <- name
			return cables[name].Disable
		},
		Every:  time.Millisecond, // in earnest: hours, and a Window
		OutFor: time.Hour,
	})
	monkey.Start()
	fmt.Println("taken out:", <-taken)

	failed := 0
	for range 1000 {
		if _, err := getUser(); err != nil {
			failed++
		}
	}
	fmt.Println("calls that failed:", failed)
	monkey.Close() // puts it back
	fmt.Println("put back:", monkey.Snapshot().Out == "")
	// Output:
	// taken out: west
	// calls that failed: 0
	// put back: true
}
