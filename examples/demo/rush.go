package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	patience = 100 * time.Millisecond // of a caller

	// No more than a tenth of it is in flight as a rule, since callers have no patience. But this machine may stall.
	rushConcurrency = 3 * capacity
)

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

// rush is one run of the overload: bare or with the bulkhead.
type rush struct {
	name   string
	course course
	server *server

	transport *http.Transport
	bodies    *bodies

	mu    sync.Mutex
	calls []call
}

// call is how one call went.
type call struct {
	ended    ending
	took, at time.Duration // at: when it ended, counted from the start of the run
}

// measureRush makes one run, with g before the server.
func measureRush(ctx context.Context, name string, c course, p progress, g guard) (*served, error) {
	s, err := startServer(g)
	if err != nil {
		return nil, err
	}
	r := &rush{name: name, course: c, server: s, transport: newTransport()}
	r.bodies = &bodies{RoundTripper: r.transport}
	p.during(r, func() { r.load(ctx) })
	result := servedOf(c, r.calls)
	result.worked, result.waiting = int(s.worked.Load()), int(s.waiting.Load())
	return result, r.end()
}

// load makes the calls of the course until ctx is done, and returns when the last has ended.
func (r *rush) load(ctx context.Context) {
	client := &http.Client{Transport: r.bodies}
	began := time.Now()
	pace(ctx, r.planned(), r.course.due, rushConcurrency, func(int) {
		start := time.Now()
		err := get(context.WithoutCancel(ctx), client, r.server.url(), patience)
		r.add(call{rushEnding(err), time.Since(start), time.Since(began)})
	}, func(int) {
		r.add(call{shed, 0, time.Since(began)})
	})
}

// unavailable is what a full bulkhead answers.
const unavailable statusError = "503 Service Unavailable"

func rushEnding(err error) ending {
	switch {
	case err == nil:
		return succeeded
	case errors.Is(err, unavailable):
		return refused
	default:
		return failed
	}
}

func (r *rush) add(c call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
}

func (r *rush) title() string         { return r.name }
func (r *rush) length() time.Duration { return r.course.length() }
func (r *rush) planned() int          { return r.course.calls() }

// progress is how many calls were made, and how many were answered in time.
func (r *rush) progress() (calls, successes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.ended == succeeded {
			successes++
		}
	}
	return len(r.calls), successes
}

// end stops the server. It is an error if a body was left open.
func (r *rush) end() error {
	r.transport.CloseIdleConnections()
	err := r.server.end()
	if n := r.bodies.open.Load(); n != 0 {
		err = errors.Join(err, fmt.Errorf("%s: %d response bodies were left open", r.name, n))
	}
	return err
}
