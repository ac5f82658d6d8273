package failover_test

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/failover"
)

// How do calls for the same thing go to the same target?
//
// So that it finds them in its cache. When one goes, only its keys move.
func ExampleWithKey() {
	caches := failover.MustNew(failover.Config[string]{
		Name:    "caches",
		Targets: []failover.Target[string]{{Name: "a", Value: "a"}, {Name: "b", Value: "b"}, {Name: "c", Value: "c"}},
	})
	show := func() {
		where := make(map[string]string)
		for _, song := range []string{"kelp", "tide", "storm", "anchor", "reef"} {
			ctx := failover.WithKey(context.Background(), song)
			by, err := failover.Do(ctx, caches, func(_ context.Context, cache string) (string, error) { return cache, nil })
			if err != nil {
				fmt.Println(err)
			}
			where[song] = by
		}
		fmt.Println(where)
	}

	show()
	show()
	// c goes.
	err := caches.Update([]failover.Target[string]{{Name: "a", Value: "a"}, {Name: "b", Value: "b"}})
	if err != nil {
		fmt.Println(err)
	}
	show()
	// Output:
	// map[anchor:b kelp:c reef:a storm:c tide:c]
	// map[anchor:b kelp:c reef:a storm:c tide:c]
	// map[anchor:b kelp:b reef:a storm:a tide:b]
}
