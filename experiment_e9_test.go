package holdfast_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// TestExperimentE9 is a metastable failure (Bronson et al., "Metastable Failures in Distributed Systems", HotOS '21) with a
// [holdfast.Stack] in the clients, in the server, or in both: a server that is down for ten seconds, and whose clients' retries
// keep it from coming back.
//
// The model. The server does 300 calls a second, one after another, each in 1/300 s, from a queue without a bound, and does not
// know that a client has gone. 280 calls a second arrive (Poisson), each from one of the clients at random. A client gives an
// attempt one second; then it may make one more. The server does nothing from second 30 to second 40. Each second the five
// before it are looked at: goodput is back once at least 95 % as many calls are answered in time as arrive, and stay so to the
// end, which is second 100. What counts is the time from the end of the outage to the last second that was worse: 4 s if all is
// well at once, and where it is 30 s or more, "never". No number is fitted.
//
// Without holdfast a client is a plain loop that makes its second attempt at once. With holdfast each client has a stack of its
// own, the preset HTTPClient with an AttemptTimeout of 1 s and two attempts; it calls by Stack.Run. In the server a stack of
// one bulkhead is before the work, with a Limit of 1, a Queue of 64, and a Target of 333 ms, which is a third of how long the
// clients wait; it serves by Stack.Run too. On both sides it is Stack.Transport and Stack.Handler, without a network between. One
// goroutine for each call, and one for each call in a server with a bulkhead, in a bubble.
func TestExperimentE9(t *testing.T) {
	r := experiment.NewTable(
		fmt.Sprintf("E9, stacks: a server of 300/s is offered 280/s and is down for 10 s; seconds from there until goodput is back: least and most of %d seeds", experiment.Seeds),
		"", "published", "re-run without holdfast", "with holdfast",
	)
	lines := record.Chart{
		Name: "e9-goodput", Title: "E9: answers in time, of 280 calls a second", XLabel: "seconds", YLabel: "in the second",
		Spans: []record.Span{{Name: "down", From: downE9.Seconds(), To: upE9.Seconds()}},
	}
	for _, row := range []struct {
		name, published string
		sides           sidesE9
		plain, never    bool
		goal            float64
		always          bool   // run when reduced as well
		line            string // in the chart
	}{
		{name: "one retry, at once", published: "goodput 0 for ever", sides: sidesE9{clients: 1}, plain: true, never: true, line: "one retry, no holdfast"},
		{name: "one retry, at once, and a queue of 64 in the server", published: "-", sides: sidesE9{clients: 1, bounded: true}, plain: true},
		{name: "client side, 1 client", published: "-", sides: sidesE9{clients: 1, client: clientE9}, goal: 15},
		{name: "client side, 100 clients", published: "-", sides: sidesE9{clients: 100, client: clientE9}, goal: 15, always: true, line: "100 clients with a stack"},
		{name: "client side, 100 clients, MaxOpenFor 5s", published: "-", sides: sidesE9{clients: 100, client: eagerE9}, goal: 15},
		{name: "server side, clients of one retry, at once", published: "-", sides: sidesE9{clients: 1, server: serverE9}, goal: 5},
		{name: "both sides, 1 client", published: "-", sides: sidesE9{clients: 1, client: clientE9, server: serverE9}, goal: 5},
		{name: "both sides, 100 clients", published: "-", sides: sidesE9{clients: 100, client: clientE9, server: serverE9}, goal: 5, always: true, line: "and the server with one"},
	} {
		if experiment.Reduced() && !row.always {
			continue
		}
		back, good := experimentE9(t, row.sides)
		if row.line != "" {
			lines.Series = append(lines.Series, good)
			lines.Series[len(lines.Series)-1].Name = row.line
		}
		cells := []string{row.name, row.published, "-", inE9(back)}
		if row.plain {
			cells[2], cells[3] = cells[3], cells[2]
		}
		r.Row(cells...)
		if row.goal > 0 {
			r.AtMost(t, row.name+", seconds", back, row.goal)
		}
		if row.never {
			back.AtLeast(t, row.name, neverE9)
		}
	}
	r.Chart(lines)
	r.Print(t, `
Goal: 15 s from the client side alone, and 5 s with the bulkhead in the server.
The breakers of the clients let go of the backlog: after five attempts without an answer a client asks no more, and the server
has done what waits when they try again. That takes as long as the last of them waits for its turn. Where the server bounds
what it takes in, there is no backlog: what it refuses, it refuses at once, and says so (Holdfast-Refused: yes), so that a
client's breaker does not take that for a failure.
The bulkhead's Target is set, as the default of three calls, 10 ms, is short for a single worker at 93 % of what it can do: it
refuses 2 to 4 % of the calls of a queue that keeps up.`)
}

// sidesE9 is who has a stack.
type sidesE9 struct {
	clients int
	client  func() *holdfast.Stack // nil: plain loops
	server  func() *holdfast.Stack // nil: it works on what comes
	bounded bool                   // without a stack it has a queue of 64
}

func clientE9() *holdfast.Stack { return stackOf(planE9()) }

func eagerE9() *holdfast.Stack {
	plan := planE9()
	plan.Breaker.MaxOpenFor = 5 * time.Second
	return stackOf(plan)
}

func planE9() holdfast.Plan {
	plan := holdfast.HTTPClient("server")
	plan.Retry.AttemptTimeout, plan.Retry.MaxAttempts = patienceE9, 2
	return plan
}

func serverE9() *holdfast.Stack {
	return holdfast.MustStack(bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: queueE9, Target: patienceE9 / 3}))
}

// experimentE9 returns how long it takes, and the goodput of the first seed.
func experimentE9(t *testing.T, sides sidesE9) (back *experiment.Span, good record.Series) {
	back = new(experiment.Span)
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		m := &modelE9{start: time.Now()}
		m.run(rand.New(rand.NewPCG(seed, 9)), m.clients(sides))
		back.Add(m.back())
		if seed == 1 {
			good = m.goodput()
		}
	})
	return back, good
}

// inE9 is how long it took, in seconds.
func inE9(back *experiment.Span) string {
	if back.Least() >= neverE9 {
		return "never"
	}
	return back.In("%.0f")
}
