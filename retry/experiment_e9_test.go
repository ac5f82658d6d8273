package retry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

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
// to second 40. Goodput is back when, from then on for two minutes, each five seconds have answered in time at least
// 95 % as many calls as arrived in them; what counts is the time from the end of the outage to there. A run in which
// that has not begun 600 s after the outage is one of "never". No number is fitted.
//
// Without holdfast a call is a plain loop, with a plain bucket; with it, Policy.Run and the Budget of its client
// decide. One goroutine for each seed, in a bubble, has the server and all calls, each of which is a coroutine.
func TestExperimentE9(t *testing.T) {
	r := newResultTable(
		fmt.Sprintf("E9: a server of 300/s is offered 280/s and is down for 10 s; seconds from there until goodput is back: least and most of %d seeds", experimentSeeds),
		"", "published", "re-run without holdfast", "with holdfast",
	)
	unlimited := func() caller { return callerE9(nil) }
	holdfast := func(c retry.BudgetConfig) func() caller {
		return func() caller {
			b, err := retry.NewBudget(c)
			if err != nil {
				t.Fatal(err)
			}
			return callerE9(b)
		}
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
		{name: "always one retry", published: "goodput 0 for ever", clients: 1, plain: func() caller { return plainE9(always{}) }, holdfast: unlimited, never: true, always: true},
		{name: "no retry", published: "-", clients: 1, plain: func() caller { return func(attempt func() error) { _ = attempt() } }, recovers: true},
		{name: "budget fed by requests, 20 %", published: "-", clients: 1, plain: requestFed(0.2), never: true},
		{name: "budget fed by requests, 10 %", published: "-", clients: 1, plain: requestFed(0.1), never: true},
		{name: "1 client: budget fed by successes", published: "-", clients: 1, plain: successFed(0), holdfast: holdfast(retry.BudgetConfig{}), recovers: true, always: true},
		{name: "100 clients, no floor", published: "-", clients: 100, plain: successFed(0), holdfast: holdfast(retry.BudgetConfig{Floor: -1}), recovers: true},
		{name: "100 clients, floor 0.1/s (default)", published: "-", clients: 100, plain: successFed(0.1), holdfast: holdfast(retry.BudgetConfig{}), recovers: true, always: true},
		{name: "100 clients, floor 0.5/s", published: "-", clients: 100, plain: successFed(0.5), holdfast: holdfast(retry.BudgetConfig{Floor: 0.5}), recovers: true},
		{name: "100 clients, Capacity 10", published: "-", clients: 100, holdfast: holdfast(retry.BudgetConfig{Capacity: 10}), recovers: true},
		{name: "1,000 clients", published: "-", clients: 1_000, plain: successFed(0), holdfast: holdfast(retry.BudgetConfig{})},
	} {
		if isReduced() && !row.always {
			continue
		}
		without, with := "-", "-"
		var back *seedSpan
		if row.plain != nil && (row.holdfast == nil || !isReduced()) {
			back = experimentE9(t, row.clients, row.plain)
			without = inE9(back)
		}
		if row.holdfast != nil {
			back = experimentE9(t, row.clients, row.holdfast)
			with = inE9(back)
		}
		r.row(row.name, row.published, without, with)
		if row.recovers {
			back.below(t, row.name, horizonE9.Seconds())
		}
		if row.never {
			back.atLeast(t, row.name, horizonE9.Seconds())
		}
	}
	r.print(t, `x`)
}

// horizonE9 is how long after the outage goodput may come back, and stayE9 how long it has to stay.
const (
	horizonE9 = 600 * time.Second
	stayE9    = 120 * time.Second
)

func inE9(back *seedSpan) string {
	word := func(seconds float64) string {
		if seconds >= horizonE9.Seconds() {
			return "never"
		}
		return fmt.Sprintf("%.0f", seconds)
	}
	if least, most := word(back.least), word(back.most); least != most {
		return least + " to " + most
	}
	return word(back.least)
}

// experimentE9 gives each client a newCaller of its own.
func experimentE9(t *testing.T, clients int, newCaller func() caller) *seedSpan {
	back := new(seedSpan)
	inBubbles(t, func(seed uint64) {
		s := &queueingServer{start: time.Now(), rng: rand.New(rand.NewPCG(seed, 9))}
		callers := make([]caller, clients)
		for i := range callers {
			callers[i] = newCaller()
		}
		back.add(s.recovery(callers).Seconds())
	})
	return back
}

// queueingServer is the server, and what arrives at it. All times are since start.
type queueingServer struct {
	start time.Time
	rng   *rand.Rand
	free  time.Duration // when it has done all that is queued

	// under way are the attempts whose client waits, in the order in which it will hear of them: the first to come is
	// the first to be served and the first to be given up, so that is the order of arrival.
	underWay []attemptE9
	good     int
}

type attemptE9 struct {
	ends     time.Duration
	answered bool
	goOn     func() (struct{}, bool) // its call, until the next attempt or the end
}

const (
	downE9 = 30 * time.Second
	upE9   = downE9 + 10*time.Second
)

// recovery returns the time from the end of the outage until goodput is back, or horizonE9.
func (s *queueingServer) recovery(callers []caller) time.Duration {
	const window = 5
	var offered, good [window]int // at the end of the last seconds
	arrived, since := 0, upE9
	arrives := s.nextArrival(0)
	for now := time.Second; ; now += time.Second {
		for ; arrives < now; arrives = s.nextArrival(arrives) {
			s.hear(arrives)
			arrived++
			s.begin(arrives, callers[s.rng.IntN(len(callers))])
		}
		s.hear(now)
		second := int(now/time.Second) % window
		if float64(s.good-good[second]) < 0.95*float64(arrived-offered[second]) {
			since = max(now, upE9)
		}
		offered[second], good[second] = arrived, s.good
		if since-upE9 >= horizonE9 || now-since >= stayE9 {
			s.hear(now + time.Hour) // so that every call ends
			return min(max(since-upE9, 0), horizonE9)
		}
	}
}

func (s *queueingServer) nextArrival(last time.Duration) time.Duration {
	return last + time.Duration(s.rng.ExpFloat64()/280*float64(time.Second))
}

// begin starts a call, whose first attempt arrives now.
func (s *queueingServer) begin(now time.Duration, call caller) {
	var goOn func() (struct{}, bool)
	goOn, _ = iter.Pull(func(yield func(struct{}) bool) {
		call(func() error {
			a := s.enqueue(now)
			a.goOn = goOn
			s.underWay = append(s.underWay, a)
			yield(struct{}{})
			now = a.ends
			if !a.answered {
				return errTooSlow
			}
			s.good++
			return nil
		})
	})
	goOn()
}

var errTooSlow = errors.New("no answer within a second")

func (s *queueingServer) enqueue(now time.Duration) attemptE9 {
	starts := max(now, s.free)
	if starts >= downE9 && starts < upE9 {
		starts = upE9
	}
	s.free = starts + time.Second/300
	if givenUp := now + time.Second; s.free >= givenUp {
		return attemptE9{ends: givenUp}
	}
	return attemptE9{ends: s.free, answered: true}
}

// hear lets the calls go on whose attempts end before until.
func (s *queueingServer) hear(until time.Duration) {
	for len(s.underWay) > 0 && s.underWay[0].ends < until {
		a := s.underWay[0]
		s.underWay = s.underWay[1:]
		time.Sleep(a.ends - time.Since(s.start))
		a.goOn()
	}
}

// callerE9 is holdfast; a nil Budget allows all.
func callerE9(b *retry.Budget) caller {
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

type always struct{}

func (always) withdraw() bool { return true }
func (always) deposit()       {}

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
