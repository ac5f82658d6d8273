// Soak looks for a combination in which holdfast does not keep what it promises. It puts retry, breaker, bulkhead, hedge and
// failover around each other in all 120 orders, lets each order meet each fault that package chaos can make, in the client, in
// the server and on the connections between them, and makes real HTTP calls through it over loopback, in all doors of a
// holdfast.Stack. All the while it checks:
//
//   - of each policy, that calls = successes + failures + ignored + refused, counted by the policy and counted right above it;
//   - that places in bulkheads, probes of breakers, calls under way at targets, response bodies, request bodies, connections
//     and goroutines are back to what they were;
//   - that no call returns later than its context ended, but for a bound;
//   - that each answer is that of its own call, each panic one that was injected, and each refusal one of a call that sent
//     nothing but what servers have refused.
//
// It ends by itself, with a table of what it saw: when its time is over, and what is under way then has ended, or three quarters of
// a minute later if that does not end. If something was not as it should be it exits with 1 and says what, where,
// and how to see it again.
//
//	go run ./examples/soak
//	go run ./examples/soak -duration 60s -seed 7
//	go run ./examples/soak -only retry-hedge-breaker-bulkhead-failover/client-black-hole
//
// The seed decides the order of the combinations, the settings of the policies, the calls with their deadlines, and which of
// their attempts, and which connections by their number, the faults strike: the same seed, the same plan. When goroutines run
// is not in it, and so neither is which of two attempts is first: what was found is not found again in each run. -only makes
// many runs of it. A second seed is worth more than a second run.
//
// Ctrl-C ends it soon, with what it has; a second Ctrl-C at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
)

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "soak: these flags cannot work:\n%v\n", err)
		os.Exit(2)
	}
	log.SetOutput(io.Discard) // net/http says there what it thinks of broken connections
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // from the second Ctrl-C on, it is the system's again
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
