// Grpcstyle answers: how do I put policies around functions of one shape, such as the methods of a gRPC client?
//
// Wrap makes a function from a function, as an interceptor does: the stack of each method is built once, and called like
// the method. Methods that may run twice are retried; the others are not; all share one breaker. It exits non-zero if a
// call was made more or less often than it should be.
//
//	go run ./examples/grpcstyle
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "grpcstyle:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	s := &service{users: []user{{0, "Ada"}}}
	c, err := newClient(s)
	if err != nil {
		return err
	}
	// It takes some milliseconds. What takes a thousand times as long is wrong.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	get := func(id int) func() error {
		return func() error { _, err := c.getUser(ctx, &getUserRequest{id}); return err }
	}
	create := func() error { _, err := c.createUser(ctx, &createUserRequest{"Grace"}); return err }

	steps := []struct {
		what  string
		fail  int // so many calls are Unavailable first
		do    func() error
		code  code // "": success
		calls int
		state breaker.State
	}{
		{"get a user; two calls fail, the third is a success", 2, get(0), "", 3, breaker.Closed},
		{"create one; the call fails, and is not repeated", 1, create, unavailable, 1, breaker.Closed},
		{"create one; the call succeeds", 0, create, "", 1, breaker.Closed},
		{"get a user that does not exist: an answer, neither retried nor held against the service", 0, get(7), notFound, 1, breaker.Closed},
		{"the service is gone: three calls", 100, get(0), unavailable, 3, breaker.Closed},
		{"still gone: the fifth failure in a row opens the breaker, and ends the retries", 100, get(0), unavailable, 2, breaker.Open},
		{"open: no call at all, of neither method", 100, create, unavailable, 0, breaker.Open},
	}
	for _, step := range steps {
		before := s.calls
		s.fail = step.fail
		err := step.do()
		calls := s.calls - before
		got, _ := codeOf(err)
		fmt.Fprintf(out, "%s\n    calls: %d, breaker %v, error: %v\n", step.what, calls, c.breaker.State(), err)
		if got != step.code || calls != step.calls || c.breaker.State() != step.state {
			return fmt.Errorf("%s: %q after %d calls, breaker %v, want %q, %d, %v",
				step.what, got, calls, c.breaker.State(), step.code, step.calls, step.state)
		}
	}
	return nil
}
