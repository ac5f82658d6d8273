package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// showFaults is the part with the failing servers: the story, the two runs, the table, what it means.
func showFaults(ctx context.Context, out io.Writer, o options, p progress, _ *pictures) error {
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

// run is one run of the load: bare or under holdfast.
type run struct {
	name     string
	opts     options
	backends []*backend
	tallies  []*tally // one for each backend

	transport *http.Transport
	bodies    *bodies
	changes   changes
}

// newRun starts the backends. After it, end is due.
func newRun(name string, o options) (*run, error) {
	r := &run{name: name, opts: o, transport: newTransport()}
	r.bodies = &bodies{RoundTripper: r.transport}
	for _, k := range kinds {
		b, err := startBackend(k, o.seed, r.length())
		if err != nil {
			return nil, errors.Join(err, r.end())
		}
		r.backends = append(r.backends, b)
		r.tallies = append(r.tallies, new(tally))
	}
	return r, nil
}

func (r *run) title() string { return r.name }

func (r *run) length() time.Duration { return r.opts.duration / 2 }

// planned is how many calls the run is to make.
func (r *run) planned() int {
	return int(r.length().Seconds() * float64(r.opts.rate))
}

// load calls the backends in turn until all calls are made or ctx is done, and returns when the last has ended. Calls
// under way when ctx ends are let be: they end by their deadline.
func (r *run) load(ctx context.Context, client *http.Client) {
	call := func(i int) {
		target := i % len(r.backends)
		start := time.Now()
		err := get(context.WithoutCancel(ctx), client, r.backends[target].url(), r.opts.deadline)
		r.tallies[target].add(endingOf(err), time.Since(start))
	}
	pace(ctx, r.planned(), steady(r.opts.rate), r.opts.concurrency, call, func(i int) {
		r.tallies[i%len(r.backends)].add(shed, 0)
	})
	r.transport.CloseIdleConnections()
}

func endingOf(err error) ending {
	switch {
	case err == nil:
		return succeeded
	case isRefusal(err):
		return refused
	default:
		return failed
	}
}

// samples is what was measured so far, by backend.
func (r *run) samples() []sample {
	var all []sample
	for i, b := range r.backends {
		s := r.tallies[i].sample()
		s.requests, s.connections = b.requests.Load(), b.connections.Load()
		s.transitions, s.opened = r.changes.of(b.addr)
		all = append(all, s)
	}
	return all
}

// calls and successes so far.
func (r *run) progress() (calls, successes int) {
	for _, t := range r.tallies {
		calls += t.calls()
		successes += t.successes()
	}
	return calls, successes
}

// end stops the backends. It is an error if one had not come back from an outage, or if a body was left open.
func (r *run) end() error {
	var errs []error
	for _, b := range r.backends {
		errs = append(errs, b.end())
	}
	if n := r.bodies.open.Load(); n != 0 {
		errs = append(errs, fmt.Errorf("%s: %d response bodies were left open", r.name, n))
	}
	return errors.Join(errs...)
}
