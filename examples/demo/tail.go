package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

const (
	tailRate        = 1000 // calls a second, each of them made both ways
	tailPatience    = 3 * time.Second
	tailConcurrency = 2 * tailRate // this machine may stall
)

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

// tails is both runs, which go side by side: whatever else this machine does meanwhile happens to both.
type tails struct {
	lasts time.Duration
	lanes []*lane
}

// lane is one way to call three replicas, which serve nobody else.
type lane struct {
	policy   *hedge.Policy // nil: bare
	replicas []*replica
	tally    tally

	transport *http.Transport
	bodies    *bodies
	client    *http.Client

	asking sync.RWMutex // read-locked by each attempt
	closed bool
}

// quickness is what one lane measured.
type quickness struct {
	sample
	policy hedge.Snapshot
}

// measureTail makes both runs.
func measureTail(ctx context.Context, lasts time.Duration, seed uint64, p progress) (bare, hedged *quickness, err error) {
	policy, err := newHedge()
	if err != nil {
		return nil, nil, err
	}
	t := &tails{lasts: lasts}
	for _, policy := range []*hedge.Policy{nil, policy} {
		l, err := newLane(policy, seed)
		t.lanes = append(t.lanes, l)
		if err != nil {
			return nil, nil, errors.Join(err, t.end())
		}
	}
	p.during(t, func() { t.load(ctx) })
	if err := t.end(); err != nil {
		return nil, nil, err
	}
	return t.lanes[0].quickness(), t.lanes[1].quickness(), nil
}

// load makes the calls until ctx is done, each in both lanes at once, and returns when the last has ended.
func (t *tails) load(ctx context.Context) {
	pace(ctx, t.calls(), steady(tailRate), tailConcurrency, func(i int) {
		var both sync.WaitGroup
		defer both.Wait()
		for _, l := range t.lanes {
			both.Go(func() {
				start := time.Now()
				err := l.call(context.WithoutCancel(ctx), i)
				l.tally.add(endingOf(err), time.Since(start))
			})
		}
	}, func(int) {
		for _, l := range t.lanes {
			l.tally.add(shed, 0)
		}
	})
}

func (t *tails) calls() int { return int(t.lasts.Seconds() * tailRate) }

func (t *tails) title() string         { return "both" }
func (t *tails) length() time.Duration { return t.lasts }
func (t *tails) planned() int          { return len(t.lanes) * t.calls() }

// progress is of both lanes together.
func (t *tails) progress() (calls, successes int) {
	for _, l := range t.lanes {
		calls += l.tally.calls()
		successes += l.tally.successes()
	}
	return calls, successes
}

func (t *tails) end() error {
	var errs []error
	for _, l := range t.lanes {
		errs = append(errs, l.end())
	}
	return errors.Join(errs...)
}

// newLane starts the replicas. After it, end is due, even if there is an error.
func newLane(policy *hedge.Policy, seed uint64) (*lane, error) {
	l := &lane{policy: policy, transport: newTransport()}
	l.bodies = &bodies{RoundTripper: l.transport}
	l.client = &http.Client{Transport: l.bodies}
	for number := range natures {
		r, err := startReplica(number, seed)
		if err != nil {
			return l, err
		}
		l.replicas = append(l.replicas, r)
	}
	return l, nil
}

// ask is one attempt. Those that lose may outlast their call, but not the lane.
func (l *lane) ask(ctx context.Context, url string) error {
	l.asking.RLock()
	defer l.asking.RUnlock()
	if l.closed {
		return net.ErrClosed
	}
	return fetch(ctx, l.client, url)
}

func (l *lane) quickness() *quickness {
	q := &quickness{l.tally.sample(), l.policy.Snapshot()}
	for _, r := range l.replicas {
		q.requests += r.requests.Load()
	}
	return q
}

// end waits for the attempts that have lost, and stops the replicas. It is an error if a body was left open.
func (l *lane) end() error {
	l.asking.Lock()
	l.closed = true
	l.asking.Unlock()
	l.transport.CloseIdleConnections()
	var errs []error
	for _, r := range l.replicas {
		errs = append(errs, r.end())
	}
	if n := l.bodies.open.Load(); n != 0 {
		errs = append(errs, fmt.Errorf("%d response bodies were left open", n))
	}
	return errors.Join(errs...)
}
