package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

func ExampleNewStack() {
	stack, err := holdfast.NewStack( // the outermost first
		retry.MustNew(retry.Config{Name: "users", AttemptTimeout: time.Second}),
		breaker.MustNew(breaker.Config{Name: "users"}),
		bulkhead.MustNew(bulkhead.Config{Name: "users", Limit: 64}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	name, err := holdfast.Do(context.Background(), stack, func(context.Context) (string, error) { return "Ada", nil })
	fmt.Println(name, err)
	fmt.Println(stack.Named("users"))
	// Output:
	// Ada <nil>
	// users: retry(3, 100ms..5s, 1s each) → breaker(50% of 20 in 10s) → bulkhead(64)
}

func ExampleStack_Check() {
	stack := holdfast.MustStack(breaker.MustNew(breaker.Config{}), retry.MustNew(retry.Config{}))
	for _, f := range stack.For(holdfast.Traffic{PerSecond: 1}).Check() {
		fmt.Println(f.Rule)
		fmt.Println("  because", f.Reason)
		fmt.Println("  so", f.Change)
	}
	// Output:
	// breaker-outside-retry
	//   because the breaker counts once what has failed 3 times, and while it is closed each call makes 3 attempts at what is down
	//   so put the breaker inside of the retry, unless it is to count calls
	// breaker-never-opens
	//   because at 1 calls/s there are never 20 in 10s, so that the ratio does not count; this opens after 5 failures in a row, 5s
	//   so set MinCalls to 10 or less, or Window to 20s or more
}

func ExampleFallback() {
	stack := holdfast.MustStack(
		holdfast.Fallback(func(context.Context, error) (string, error) { return "a guest", nil }),
		retry.MustNew(retry.Config{BaseDelay: -1}),
	)
	fmt.Println(holdfast.Do(context.Background(), stack, func(context.Context) (string, error) { return "", errors.New("down") }))
	// Output: a guest <nil>
}

func ExampleLoad() {
	stacks, err := holdfast.Load([]byte(`{"stacks": {"users": [
		{"retry":    {"max_attempts": 4, "attempt_timeout": "2s"}},
		{"breaker":  {"open_for": "10s"}},
		{"bulkhead": {"limit": 64}}
	]}}`))
	fmt.Println(stacks["users"], err)

	_, err = holdfast.Load([]byte(`{"stacks": {"users": [{"breaker": {"open_for": "10 sec"}}]}}`))
	fmt.Println(err)
	// Output:
	// users: retry(4, 100ms..5s, 2s each) → breaker(50% of 20 in 10s) → bulkhead(64) <nil>
	// stacks.users[0].breaker.open_for: "10 sec": want a duration such as "5s"
}

func ExampleRegistry() {
	dir, _ := os.MkdirTemp("", "holdfast")
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "stacks.json")
	os.WriteFile(file, []byte(`{"stacks": {"users": [{"retry": {}}, {"bulkhead": {"limit": 64}}]}}`), 0o600)

	registry, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: file})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registry.Close()
	registry.ReloadOn() // on SIGHUP

	users, _ := registry.Stack("users")
	client := &http.Client{Transport: users.Transport(nil)} // goes by what the file says at the time
	_ = client

	os.WriteFile(file, []byte(`{"stacks": {"users": [{"retry": {"max_attempts": 2}}, {"bulkhead": {"limit": 16}}]}}`), 0o600)
	e, err := registry.Reload()
	fmt.Println(e.Changed, err)
	fmt.Println(users)

	os.WriteFile(file, []byte(`{"stacks": {"users": [{"bulkhead": {"limit": "16"}}]}}`), 0o600)
	_, err = registry.Reload()
	fmt.Println(err)
	fmt.Println(users)
	// Output:
	// [users] <nil>
	// users: retry(2, 100ms..5s) → bulkhead(16)
	// stacks.users[0].bulkhead.limit: "16": want a whole number
	// users: retry(2, 100ms..5s) → bulkhead(16)
}
