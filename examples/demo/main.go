// Demo shows what holdfast is for. It makes a few thousand real HTTP calls to three servers that fail on purpose,
// first with a bare http.Client and then with the same client under a retry and a breaker, and prints what came of it.
// Then it asks a server for three times what it can do, first bare and then behind a bulkhead, and draws what came of
// that. At last it calls three servers of which one is slow at times, with and without hedging, and draws how long the
// calls took.
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
	"net/http"
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

// show is the whole demo, its three parts.
func show(ctx context.Context, out io.Writer, o options, p progress) error {
	if err := showFaults(ctx, out, o, p); err != nil || ctx.Err() != nil {
		return err
	}
	pics := &pictures{o.svg}
	fmt.Fprintln(out)
	if err := showRush(ctx, out, o, p, pics); err != nil || ctx.Err() != nil {
		return err
	}
	fmt.Fprintln(out)
	return showTail(ctx, out, o, p, pics)
}

// showFaults is the part with the failing servers: the story, the two runs, the table, what it means.
func showFaults(ctx context.Context, out io.Writer, o options, p progress) error {
	tell(out, o)
	bare, err := measure(ctx, "bare", o, p, func(r *run) (*http.Client, error) {
		return &http.Client{Transport: r.bodies}, nil
	})
	if err != nil {
		return err
	}
	var held *result
	if ctx.Err() == nil {
		held, err = measure(ctx, "holdfast", o, p, func(r *run) (*http.Client, error) {
			return guarded(r.bodies, r.changes.add)
		})
		if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "\nInterrupted: what there is. The runs did not last as long, nor meet the same faults.")
	}
	fmt.Fprintln(out)
	table(out, bare, held)
	fmt.Fprintln(out)
	conclude(out, bare, held)
	return nil
}

// showRush is the part with the server that is asked for too much: the same, and a chart.
func showRush(ctx context.Context, out io.Writer, o options, p progress, pics *pictures) error {
	c := courseOf(o.rush() / 2)
	tellRush(out, c)
	bare, err := measureRush(ctx, "bare", c, p, unguarded)
	if err != nil {
		return err
	}
	var held *served
	if ctx.Err() == nil {
		if held, err = measureRush(ctx, "bulkhead", c, p, behindBulkhead); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "\nInterrupted: what there is.")
	}
	fmt.Fprintln(out)
	if err := drawRush(out, pics, c, bare, held); err != nil {
		return err
	}
	rushTable(out, c, bare, held)
	fmt.Fprintln(out)
	concludeRush(out, c, bare, held)
	return nil
}

// showTail is the part with the server that is slow at times: both ways at the same time, and a chart.
func showTail(ctx context.Context, out io.Writer, o options, p progress, pics *pictures) error {
	tellTail(out, o)
	bare, hedged, err := measureTail(ctx, o.tail(), o.seed, p)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "\nInterrupted: what there is.")
	}
	fmt.Fprintln(out)
	if err := drawTail(out, pics, bare, hedged); err != nil {
		return err
	}
	tailTable(out, bare, hedged)
	fmt.Fprintln(out)
	concludeTail(out, bare, hedged)
	return nil
}

// measure makes one run with the client that build makes for it.
func measure(ctx context.Context, name string, o options, p progress, build func(*run) (*http.Client, error)) (*result, error) {
	r, err := newRun(name, o)
	if err != nil {
		return nil, err
	}
	client, err := build(r)
	if err != nil {
		return nil, errors.Join(err, r.end())
	}
	p.during(r, func() { r.load(ctx, client) })
	if err := r.end(); err != nil {
		return nil, err
	}
	return resultOf(r.samples()), nil
}
