package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

const (
	outageRate        = 400 // calls a second, each of them made both ways
	outagePatience    = 3 * time.Second
	outageConcurrency = 2 * outageRate // this machine may stall
)

// members are the servers that know the same, with the turns that each has of six. The first is the one that is killed.
var members = []struct {
	name   string
	weight int
}{{"large", 3}, {"medium", 2}, {"small", 1}}

// turns is the order in which they are asked by who does not look whether they are there.
var turns = [...]int{0, 1, 0, 2, 0, 1}

// killed and restarted are when that happens in a run.
func killed(lasts time.Duration) time.Duration    { return lasts / 5 }
func restarted(lasts time.Duration) time.Duration { return lasts / 2 }

// showOutage is the part with the server that is killed: both ways at the same time, and a chart.
func showOutage(ctx context.Context, out io.Writer, o options, p progress, pics *pictures) error {
	lasts := o.outage()
	tellOutage(out, lasts)
	story, err := measureOutage(ctx, lasts, o.seed, p)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "\nInterrupted: what there is.")
	}
	fmt.Fprintln(out)
	if err := drawOutage(out, pics, story); err != nil {
		return err
	}
	outageTable(out, story)
	fmt.Fprintln(out)
	concludeOutage(out, story)
	return nil
}

// measureOutage makes both runs.
func measureOutage(ctx context.Context, lasts time.Duration, seed uint64, p progress) (*story, error) {
	c, err := newCluster(lasts, seed)
	if err != nil {
		return nil, errors.Join(err, c.end())
	}
	p.during(c, func() { c.load(ctx) })
	story := c.story()
	return story, c.end()
}

// cluster is the servers, and the two who call them side by side.
type cluster struct {
	lasts    time.Duration
	began    time.Time
	ended    time.Time
	backends []*backend // in the order of members
	group    *failover.Group[*url.URL]
	bare     *asker
	held     *asker

	mu     sync.Mutex
	events []failover.Event
}

// newCluster starts the servers. After it, end is due, even if there is an error.
func newCluster(lasts time.Duration, seed uint64) (*cluster, error) {
	c := &cluster{lasts: lasts, began: time.Now()}
	var targets []failover.Target[*url.URL]
	for i, m := range members {
		var p plan
		if i == 0 {
			p = plan{{trouble{fault: down, share: 1}, killed(lasts), restarted(lasts)}}
		}
		b, err := startPlanned(p, rand.New(rand.NewPCG(seed, uint64(i))))
		if err != nil {
			return c, err
		}
		c.backends = append(c.backends, b)
		at := &url.URL{Scheme: "http", Host: b.addr}
		targets = append(targets, failover.Target[*url.URL]{Name: m.name, Value: at, Weight: float64(m.weight)})
	}
	var err error
	if c.group, err = newGroup(lasts, targets, c.changed); err != nil {
		return c, err
	}
	c.bare = newAsker(func(next http.RoundTripper) http.RoundTripper { return next })
	c.held = newAsker(func(next http.RoundTripper) http.RoundTripper { return failover.Transport(c.group, next) })
	return c, nil
}

// changed hears of each change, one at a time.
func (c *cluster) changed(e failover.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
}

// load makes the calls until ctx is done, each both ways at once, and returns when the last has ended.
func (c *cluster) load(ctx context.Context) {
	c.began = time.Now()
	pace(ctx, c.calls(), steady(outageRate), outageConcurrency, func(i int) {
		ctx := context.WithoutCancel(ctx)
		var both sync.WaitGroup
		defer both.Wait()
		both.Go(func() { c.bare.call(ctx, c.backends[turns[i%len(turns)]].url()) })
		both.Go(func() { c.held.call(ctx, "http://servers/") }) // the group says where that is
	}, func(int) {
		c.bare.tally.add(shed, 0)
		c.held.tally.add(shed, 0)
	})
	c.ended = time.Now()
}

func (c *cluster) calls() int { return int(c.lasts.Seconds() * outageRate) }

func (c *cluster) title() string         { return "both" }
func (c *cluster) length() time.Duration { return c.lasts }
func (c *cluster) planned() int          { return 2 * c.calls() }

// progress is of both together.
func (c *cluster) progress() (calls, successes int) {
	for _, a := range []*asker{c.bare, c.held} {
		calls += a.tally.calls()
		successes += a.tally.successes()
	}
	return calls, successes
}

// end stops all. It is an error if the server that was killed had not come back, or if a body was left open.
func (c *cluster) end() error {
	var errs []error
	for _, a := range []*asker{c.bare, c.held} {
		if a != nil {
			errs = append(errs, a.end())
		}
	}
	for _, b := range c.backends {
		errs = append(errs, b.end())
	}
	return errors.Join(append(errs, c.group.Close())...)
}

// asker is one way to call the servers.
type asker struct {
	transport *http.Transport
	bodies    *bodies
	traffic   *traffic
	client    *http.Client
	tally     tally
	good      tally // of the calls that succeeded
}

func newAsker(under func(http.RoundTripper) http.RoundTripper) *asker {
	a := &asker{transport: newTransport()}
	a.bodies = &bodies{RoundTripper: a.transport}
	a.traffic = &traffic{RoundTripper: a.bodies}
	a.client = &http.Client{Transport: under(a.traffic)}
	return a
}

func (a *asker) call(ctx context.Context, url string) {
	start := time.Now()
	err := get(ctx, a.client, url, outagePatience)
	took := time.Since(start)
	a.tally.add(endingOf(err), took)
	if err == nil {
		a.good.add(succeeded, took)
	}
}

func (a *asker) end() error {
	a.transport.CloseIdleConnections()
	if n := a.bodies.open.Load(); n != 0 {
		return fmt.Errorf("%d response bodies were left open", n)
	}
	return nil
}
