package failover_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
)

// region is a target with a breaker of its own.
type region struct {
	name  string
	guard *breaker.Breaker
}

// How do I put a breaker before each target?
//
// Inside: its refusal moves the call on at once, and speaks against nobody. As failover leaves out what is down by itself,
// that is for what more a breaker knows: calls that are slow, or that it is switched off by hand.
func ExampleDo_breakers() {
	var targets []failover.Target[*region]
	for _, name := range []string{"north", "south"} {
		r := &region{name, breaker.MustNew(breaker.Config{Name: name})}
		targets = append(targets, failover.Target[*region]{Name: name, Value: r})
	}
	payments := failover.MustNew(failover.Config[*region]{Name: "payments", Targets: targets})
	pay := func() (string, error) {
		return failover.Do(context.Background(), payments, func(ctx context.Context, r *region) (string, error) {
			return breaker.Do(ctx, r.guard, func(context.Context) (string, error) { return "paid in the " + r.name, nil })
		})
	}

	targets[0].Value.guard.Force(breaker.ForcedOpen) // maintenance
	fmt.Println(pay())
	fmt.Println("failures of the north:", payments.Snapshot().Targets[0].Failures)

	targets[1].Value.guard.Force(breaker.ForcedOpen)
	_, err := pay()
	fmt.Println(err)
	var refusal interface{ Refused() bool }
	fmt.Println("no work was done:", errors.As(err, &refusal) && refusal.Refused())
	// Output:
	// paid in the south <nil>
	// failures of the north: 0
	// failover payments: north: breaker north: forced_open; south: breaker south: forced_open (no target is left)
	// no work was done: true
}
