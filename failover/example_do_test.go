package failover_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/failover"
)

// replica is one of several that have the same data.
type replica struct {
	name string
	down bool
}

func (r *replica) user(_ context.Context, id int) (string, error) {
	if r.down {
		return "", errors.New("connection refused")
	}
	return fmt.Sprintf("user %d, by %s", id, r.name), nil
}

// How do I call whichever of several servers is well?
func ExampleDo() {
	east, west := &replica{name: "east"}, &replica{name: "west"}
	users := failover.MustNew(failover.Config[*replica]{
		Name: "users",
		Targets: []failover.Target[*replica]{
			{Name: "east", Value: east},
			{Name: "west", Value: west},
		},
	})
	find := func(id int) (string, error) {
		return failover.Do(context.Background(), users, func(ctx context.Context, r *replica) (string, error) {
			return r.user(ctx, id)
		})
	}

	fmt.Println(find(7))
	east.down = true
	fmt.Println(find(7)) // it is asked, and then the other: at once
	// Output:
	// user 7, by east <nil>
	// user 7, by west <nil>
}
