package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

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
