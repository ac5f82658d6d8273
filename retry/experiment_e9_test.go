package retry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/retry"
)

// TestExperimentE9 is a metastable failure (Bronson et al., "Metastable Failures in Distributed Systems", HotOS '21):
// a server that is down for ten seconds, and whose clients' retries keep it from coming back. It is the part of E9
// that retry alone can run. The goal of E9, 15 s, needs what lets go of the backlog as well: a breaker in the clients,
// or a bulkhead in the server.
//
// The model. The server does 300 calls a second, one after another, each in 1/300 s, from a queue without a bound, and
// does not know that a client has gone. 280 calls a second arrive (Poisson), each from one of the clients at random.
// A client gives an attempt one second; then it may make one more, at once. The server does nothing from second 30
// to second 40. Each second the five before it are looked at: goodput is back once at least 95 % as many calls are
// answered in time as arrive, and stay so for a minute. What counts is the time from the end of the outage to the last
// second that was worse; where that is later than 600 s (reduced: 300 s), it is "never". No number is fitted.
//
// Without holdfast a call is a plain loop, with a plain bucket or none. With it, Policy.Run and the Budget of its
// client decide: the default one, but for what the row says. One goroutine for each seed, in a bubble, has the server
// and all its clients; a call is a coroutine of it.
func TestExperimentE9(t *testing.T) {
	r := experiment.NewTable(
		fmt.Sprintf("E9: a server of 300/s is offered 280/s and is down for 10 s; seconds from there until goodput is back: least and most of %d seeds", experiment.Seeds),
		"", "published", "re-run without holdfast", "with holdfast",
	)
	holdfast := func(c retry.BudgetConfig) func() caller {
		return func() caller { return holdfastE9(t, c) }
	}
	successFed := func(floor float64) func() caller {
		return func() caller {
			return plainE9(&flooredBucket{plainBucket: plainBucket{tokens: 20, capacity: 20, ratio: 0.125}, perSecond: floor, lent: time.Now()})
		}
	}
	for _, row := range []struct {
		name, published string
		clients         int
		plain, holdfast func() caller
		recovers, never bool // with holdfast, or in the re-run if there is no other
		always          bool // run when reduced as well
	}{
		{name: "always one retry", published: "goodput 0 for ever", clients: 1, plain: func() caller { return plainE9((*plainBucket)(nil)) }, never: true, always: true},
		{name: "no retry", published: "-", clients: 1, plain: func() caller { return func(attempt func() error) { _ = attempt() } }, recovers: true},
		{name: "budget fed by requests, 20 %", published: "-", clients: 1, plain: requestFed(0.2), never: true},
		{name: "budget fed by requests, 10 %", published: "-", clients: 1, plain: requestFed(0.1), never: true},
		{name: "1 client, budget fed by successes", published: "-", clients: 1, plain: successFed(0), holdfast: holdfast(retry.BudgetConfig{}), recovers: true, always: true},
		{name: "100 clients, no floor", published: "-", clients: 100, holdfast: holdfast(retry.BudgetConfig{Floor: -1}), recovers: true},
		{name: "100 clients, floor 0.1/s (the default)", published: "-", clients: 100, plain: successFed(0.1), holdfast: holdfast(retry.BudgetConfig{}), recovers: true, always: true},
		{name: "100 clients, floor 0.5/s", published: "-", clients: 100, plain: successFed(0.5), holdfast: holdfast(retry.BudgetConfig{Floor: 0.5}), recovers: true},
		{name: "100 clients, Capacity 10", published: "-", clients: 100, holdfast: holdfast(retry.BudgetConfig{Capacity: 10}), recovers: true},
		{name: "1,000 clients", published: "-", clients: 1_000, holdfast: holdfast(retry.BudgetConfig{})},
	} {
		if experiment.Reduced() && !row.always {
			continue
		}
		without, with := "-", "-"
		var back *experiment.Span
		if row.plain != nil && (row.holdfast == nil || !experiment.Reduced()) {
			back = experimentE9(t, row.clients, row.plain)
			without = inE9(back)
		}
		if row.holdfast != nil {
			back = experimentE9(t, row.clients, row.holdfast)
			with = inE9(back)
		}
		r.Row(row.name, row.published, without, with)
		if row.recovers {
			back.Below(t, row.name, horizonE9().Seconds())
		}
		if row.never {
			back.AtLeast(t, row.name, horizonE9().Seconds())
		}
	}
	r.Print(t, `
Goal of E9: 15 s. It needs what drops the backlog too, a breaker in the clients or a bulkhead in the server; retries
alone can only stay out of the way. When the server is up again, 2,800 calls wait that hardly anybody wants any more, and it
has 20 a second to spare: that is the time without retries, and more cannot be had here. Each retry adds to it as a call does.
A default Budget adds 20 tokens for each client, and what its floor grants. For one client that is a second. A hundred
spend 2,000 at once, as many as the server can catch up with in 100 s; a Capacity of 10 halves that. A floor of 0.1/s for
each of a hundred clients takes half of what there is to spare, and 0.5/s more than all of it, unless it shrinks while nothing
succeeds, as a Budget's does. A thousand clients with a Budget each spend 20,000: they had better share one.`)
}

// horizonE9 is how long after the outage goodput may come back, and stayE9 how long it has to stay.
func horizonE9() time.Duration { return time.Duration(experiment.Fewer(600, 300)) * time.Second }

const stayE9 = time.Minute

func inE9(back *experiment.Span) string {
	word := func(seconds float64) string {
		if seconds >= horizonE9().Seconds() {
			return "never"
		}
		return fmt.Sprintf("%.0f", seconds)
	}
	if least, most := word(back.Least()), word(back.Most()); least != most {
		return least + " to " + most
	}
	return word(back.Least())
}

// experimentE9 gives each client a newCaller of its own.
func experimentE9(t *testing.T, clients int, newCaller func() caller) *experiment.Span {
	back := new(experiment.Span)
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		s := &queueingServer{start: time.Now(), rng: rand.New(rand.NewPCG(seed, 9))}
		callers := make([]caller, clients)
		for i := range callers {
			callers[i] = newCaller()
		}
		back.Add(s.recovery(callers).Seconds())
	})
	return back
}

// queueingServer is the server, and what arrives at it. All times are since start.
type queueingServer struct {
	start time.Time
	rng   *rand.Rand
	free  time.Duration // when it has done all that is queued

	// awaited are the attempts whose client waits, in the order in which it will hear of them. What comes first is
	// served first and given up first, so that is the order in which they came.
	awaited []attemptE9
	good    int // calls answered in time
	idle    []*callE9
}

type attemptE9 struct {
	ends     time.Duration
	answered bool
	then     func(answered bool)
}

const (
	downE9 = 30 * time.Second
	upE9   = downE9 + 10*time.Second
)

// recovery returns the time from the end of the outage until goodput is back, or horizonE9.
func (s *queueingServer) recovery(callers []caller) time.Duration {
	const window = 5
	var arrivedBy, goodBy [window]int // the ends of the last seconds
	arrived, back := 0, upE9
	next := s.nextArrival(0)
	for now := time.Second; ; now += time.Second {
		for ; next < now; next = s.nextArrival(next) {
			s.hear(next)
			arrived++
			call := callers[s.rng.IntN(len(callers))]
			s.serve(next, func(answered bool) { s.run(call, answered) })
		}
		s.hear(now)
		second := int(now/time.Second) % window
		if float64(s.good-goodBy[second]) < 0.95*float64(arrived-arrivedBy[second]) {
			back = max(now, upE9)
		}
		arrivedBy[second], goodBy[second] = arrived, s.good
		if back-upE9 >= horizonE9() || now-back >= stayE9 {
			s.hear(now + time.Hour) // so that every call ends
			for _, c := range s.idle {
				c.stop()
			}
			return min(back-upE9, horizonE9())
		}
	}
}

func (s *queueingServer) nextArrival(last time.Duration) time.Duration {
	return last + time.Duration(s.rng.ExpFloat64()/280*float64(time.Second))
}

// serve is an attempt that comes at now. Somebody who has gone is served all the same.
func (s *queueingServer) serve(now time.Duration, then func(answered bool)) {
	starts := max(now, s.free)
	if starts >= downE9 && starts < upE9 {
		starts = upE9
	}
	s.free = starts + time.Second/300
	givenUp := now + time.Second
	s.awaited = append(s.awaited, attemptE9{ends: min(s.free, givenUp), answered: s.free < givenUp, then: then})
}

// hear tells the clients of all that ends before until, each at its time.
func (s *queueingServer) hear(until time.Duration) {
	for len(s.awaited) > 0 && s.awaited[0].ends < until {
		a := s.awaited[0]
		s.awaited = s.awaited[1:]
		time.Sleep(a.ends - time.Since(s.start))
		a.then(a.answered)
	}
}

// run makes a call whose first attempt ends now. Until then nobody has anything to decide.
func (s *queueingServer) run(call caller, answered bool) {
	if answered {
		s.good++
		call(func() error { return nil })
		return
	}
	var c *callE9
	if last := len(s.idle) - 1; last >= 0 {
		c, s.idle = s.idle[last], s.idle[:last]
	} else {
		c = s.newCall()
	}
	c.call, c.second, c.answered = call, false, false
	if waits, _ := c.goOn(); !waits {
		s.idle = append(s.idle, c)
		return
	}
	s.serve(time.Since(s.start), func(answered bool) {
		c.answered = answered
		c.goOn()
		s.idle = append(s.idle, c)
	})
}

// callE9 is a coroutine that makes a call, from the end of its first attempt on; and then another.
type callE9 struct {
	call             caller
	second, answered bool                // of the attempt
	goOn             func() (bool, bool) // until the second attempt (true) or the end of the call
	stop             func()
}

func (s *queueingServer) newCall() *callE9 {
	c := new(callE9)
	c.goOn, c.stop = iter.Pull(func(yield func(bool) bool) {
		attempt := func() error {
			if c.second {
				yield(true)
			}
			c.second = true
			if !c.answered {
				return errTooSlow
			}
			s.good++
			return nil
		}
		for more := true; more; more = yield(false) {
			c.call(attempt)
		}
	})
	return c
}

var errTooSlow = errors.New("no answer within a second")

func holdfastE9(t *testing.T, c retry.BudgetConfig) caller {
	b, err := retry.NewBudget(c)
	if err != nil {
		t.Error(err)
	}
	p := retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: -1, Budget: b})
	ctx := context.Background()
	return func(attempt func() error) {
		_ = p.Run(ctx, func(context.Context) error { return attempt() })
	}
}

// plainE9 is a loop of two attempts.
func plainE9(b interface {
	withdraw() bool
	deposit()
},
) caller {
	return func(attempt func() error) {
		if attempt() == nil || b.withdraw() && attempt() == nil {
			b.deposit()
		}
	}
}

// requestFed is a budget that each call feeds, whatever becomes of it.
func requestFed(ratio float64) func() caller {
	return func() caller {
		b := &plainBucket{tokens: 20, capacity: 20, ratio: ratio}
		return func(attempt func() error) {
			b.deposit()
			if attempt() != nil && b.withdraw() {
				_ = attempt()
			}
		}
	}
}

// flooredBucket grants up to so many retries a second when there is no token, at a rate that is always the same.
type flooredBucket struct {
	plainBucket
	perSecond float64
	lent      time.Time // when the floor had nothing, for the last time
}

func (b *flooredBucket) withdraw() bool {
	if b.plainBucket.withdraw() {
		return true
	}
	if b.perSecond == 0 || time.Since(b.lent).Seconds() < 1/b.perSecond {
		return false
	}
	b.lent = time.Now()
	return true
}
