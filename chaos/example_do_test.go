package chaos_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/chaos"
	"github.com/holdfast-go/holdfast/retry"
)

// How do I see what my retries do when a third of the calls fail?
func ExampleDo() {
	faults := chaos.MustNew(chaos.Config{
		Name: "users", Seed: 5,
		Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 0.33}},
	})
	retries := retry.MustNew(retry.Config{BaseDelay: -1, OnRetry: func(e retry.Event) { fmt.Println("  again:", e.Err) }})
	getUser := func(ctx context.Context) (string, error) {
		return retry.Do(ctx, retries, func(ctx context.Context) (string, error) {
			return chaos.Do(ctx, faults, func(context.Context) (string, error) { return "Ada", nil })
		})
	}

	fmt.Println(getUser(context.Background())) // it is off

	faults.Enable()
	for range 3 {
		fmt.Println(getUser(context.Background())) // always these: it is the seed that decides
	}
	faults.Disable()
	fmt.Printf("%+v\n", faults.Snapshot().Faults)
	// Output:
	// Ada <nil>
	//   again: chaos users: error
	//   again: chaos users: error
	// Ada <nil>
	// Ada <nil>
	// Ada <nil>
	// [{Name:error Kind:error Struck:2}]
}

// How do I know an error that was injected?
func ExampleError() {
	faults := chaos.MustNew(chaos.Config{Name: "users", Faults: []chaos.Fault{{Name: "cable", Kind: chaos.Reset, Rate: 1}}})
	faults.Enable()
	defer faults.Disable()

	err := faults.Run(context.Background(), func(context.Context) error { return nil })
	fmt.Println(err)
	var e *chaos.Error
	fmt.Println(errors.Is(err, chaos.ErrInjected), errors.As(err, &e) && e.Fault == "cable")
	// Output:
	// chaos users: cable: read tcp: read: connection reset by peer
	// true true
}
