// Demo shows what holdfast is for. It makes a few thousand real HTTP calls to three servers that fail on purpose,
// first with a bare http.Client and then with the same client under a retry and a breaker, and prints what came of it.
// Then it asks a server for three times what it can do, first bare and then behind a bulkhead, and draws what came of
// that. It calls three servers of which one is slow at times, with and without hedging, and draws how long the calls
// took. At last it kills one of three servers while it calls them, and draws which of them answers when.
//
//	go run ./examples/demo
//	go run ./examples/demo -duration 1m -rate 600 -seed 7 -svg .
//
// Ctrl-C ends it early, with what it has measured by then; a second Ctrl-C at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	opts, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "demo: these flags cannot work:\n%v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // from the second Ctrl-C on, it is the system's again
	if err := show(ctx, os.Stdout, opts, progress{os.Stdout, isTerminal(os.Stdout)}); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// part is one of the demo's parts: the story, the runs, a chart, a table, what it means.
type part func(ctx context.Context, out io.Writer, o options, p progress, pics *pictures) error

var parts = []part{showFaults, showRush, showTail, showOutage}

// show is the whole demo, one part after the other.
func show(ctx context.Context, out io.Writer, o options, p progress) error {
	pics := &pictures{o.svg}
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := part(ctx, out, o, p, pics); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}
