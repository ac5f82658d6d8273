package retry_test

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
	"github.com/holdfast-go/holdfast/retry"
)

// TestExperimentE5 is "Exponential Backoff And Jitter" (Brooker, AWS 2015): clients that all want to write one row.
//
// The model. N clients start at once. Each reads the row's version, then writes if the version is still the same,
// and on a conflict backs off, reads and writes again until it gets through. A message takes |N(10, 2)| ms each way,
// independently; the server takes no time. As in the article's simulator, a call is a write that arrives at the
// server (reads are not counted), the time is when the last client hears that its write went through, and the first
// window of a schedule is twice the base of 5 ms: with [retry.FullJitter], whose first window is its base, that is a
// base of 10 ms. The cap is 2 s. Each number is a mean over the runs of a seed. Nothing is fitted to published
// numbers; the steps of the zigzag were chosen on this model, for N = 100.
//
// With holdfast there is one goroutine a client, in a bubble: retry.Do decides and waits. Without it the same clients are a list
// of events.
func TestExperimentE5(t *testing.T) {
	const clients = 100
	runs := experiment.Fewer(100, 10)
	r := experiment.NewTable(
		fmt.Sprintf("E5: %d clients write one row, optimistically; calls and seconds until all are through: mean of %d runs, least and most of %d seeds", clients, runs, experiment.Seeds),
		"schedule", "published", "re-run without holdfast", "with holdfast",
	)
	none := func(int, time.Duration, *dice) time.Duration { return 0 }
	exponential := func(n int, _ time.Duration, _ *dice) time.Duration { return e5Window(n) }
	for _, row := range []struct {
		name, published string
		plain           func(n int, last time.Duration, d *dice) time.Duration
		schedule        func(random func() float64) backoff.BackOff
		beats           bool
	}{
		{name: "none", published: "-", plain: none},
		{name: "exponential", published: "off the chart in time", plain: exponential},
		{name: "equal jitter", published: "half the calls or better", plain: func(n int, _ time.Duration, d *dice) time.Duration {
			return e5Window(n)/2 + upTo(e5Window(n)/2, d.Float64())
		}},
		{name: "decorrelated jitter", published: "half the calls or better", plain: func(_ int, last time.Duration, d *dice) time.Duration {
			return min(e5Cap, e5Base+upTo(3*last-e5Base, d.Float64()))
		}},
		{
			name: "full jitter", published: "half the calls or better",
			plain:    func(n int, _ time.Duration, d *dice) time.Duration { return upTo(e5Window(n), d.Float64()) },
			schedule: fullJitterE5,
		},
		{name: "full jitter x3 to cap/2", published: "-", beats: true, schedule: func(random func() float64) backoff.BackOff {
			return &climb{base: e5Base, top: e5Cap / 2, random: random}
		}},
		{name: "zigzag", published: "-", beats: true, schedule: newZigzag},
	} {
		without, with := "-", "-"
		if row.plain != nil {
			calls, seconds := experimentE5(t, clients, runs, plainE5(row.plain))
			without = calls.In("%.0f") + " calls, " + seconds.In("%.2f") + " s"
		}
		if row.schedule != nil {
			calls, seconds := experimentE5(t, clients, runs, holdfastE5(t, row.schedule))
			with = calls.In("%.0f") + " calls, " + seconds.In("%.2f") + " s"
			if row.beats {
				r.Below(t, row.name+", calls", calls, 796)
				r.Below(t, row.name+", seconds", seconds, 4.56)
			}
		}
		r.Row(row.name, row.published, without, with)
	}

	lines := []*lineE5{
		{name: "no back-off, re-run", race: plainE5(none)},
		{name: "exponential, re-run", race: plainE5(exponential)},
		{name: "holdfast, full jitter", race: holdfastE5(t, fullJitterE5)},
		{name: "holdfast, zigzag", race: holdfastE5(t, newZigzag)},
	}
	for _, n := range []int{10, 25, 50, 75, 100, 200} {
		with := ""
		for i, line := range lines {
			if n == 200 && i < 2 || experiment.Reduced() && n != 50 {
				continue // off the chart
			}
			calls, seconds := experimentE5(t, n, max(1, runs/10), line.race)
			if n <= 100 {
				line.add(n, calls, seconds)
			}
			with += []string{"", "", "full jitter ", "; zigzag "}[i]
			if i >= 2 {
				with += calls.In("%.0f") + " calls, " + seconds.In("%.2f") + " s"
			}
		}
		if n == 10 || n == 50 || n == 200 {
			r.Row(fmt.Sprintf("%d clients", n), "-", "-", or(with, "-"))
		}
	}
	chartE5(r, lines)
	full, zigzag := deadServerE5(fullJitterE5), deadServerE5(newZigzag)
	r.Row("a dead server, a minute", "-", "-", fmt.Sprintf("full jitter %.0f calls a client; zigzag %.0f", full, zigzag))

	r.Print(t, fmt.Sprintf(`
Goal: fewer than 796 calls and less than 4.56 s at once: the fewest calls, and the least time, of the published
jitters when re-run. The article has charts and no numbers. Published full jitter and "with holdfast" are the same
schedule, once as a list of events and once as retry.Do with retry.FullJitter(10ms, 2s).

The two rows below it are no part of the library: they are schedules of this test, plugged in by Config.Backoff as any
backoff.BackOff can be. Both draw from 0 to a window. The zigzag's window climbs threefold from 5 ms to the cap of 2 s,
falls threefold to a ninth of it, and climbs again: a loser of the crowded start comes back when the crowd is gone. They
are for contention, where every call does its work and somebody gets through each time. They are not for outages: full
jitter asks a dead server less often (%.0f calls against %.0f a minute at 40 ms each).
The rows for 10, 50 and 200 clients have a tenth of the runs: with few clients the zigzag is slower, for fewer calls.`, full, zigzag))
}

const (
	e5Base = 5 * time.Millisecond
	e5Cap  = 2 * time.Second
)

// e5Window is what the published schedules are made of: min(cap, base*2^n), n from 1.
func e5Window(n int) time.Duration { return min(e5Cap, e5Base<<min(n, 10)) }

// upTo draws from 0 to d.
func upTo(d time.Duration, random float64) time.Duration { return time.Duration(random * float64(d)) }

func fullJitterE5(random func() float64) backoff.BackOff {
	return retry.FullJitter(2*e5Base, e5Cap, random)
}

// raceE5 is one run: how many writes it takes until n clients are through, and how long.
type raceE5 func(n int, d *dice) (writes int, took time.Duration)

// experimentE5 returns the calls and the seconds of the runs. newRace is for a seed.
func experimentE5(t *testing.T, n, runs int, newRace func(*dice) raceE5) (calls, seconds *experiment.Span) {
	calls, seconds = new(experiment.Span), new(experiment.Span)
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		d := newDice(seed, 5)
		race := newRace(d)
		var writes int
		var took time.Duration
		for range runs {
			w, d := race(n, d)
			writes += w
			took += d
		}
		calls.Add(float64(writes) / float64(runs))
		seconds.Add(took.Seconds() / float64(runs))
	})
	return calls, seconds
}

// holdfastE5 has clients that call retry.Do on a schedule.
func holdfastE5(t *testing.T, schedule func(random func() float64) backoff.BackOff) func(*dice) raceE5 {
	return func(d *dice) raceE5 {
		p := retry.MustNew(retry.Config{
			MaxAttempts: -1,
			Backoff:     func() backoff.BackOff { return schedule(d.Float64) },
		})
		return func(n int, d *dice) (writes int, took time.Duration) {
			start := time.Now()
			row := new(contendedRow)
			var clients sync.WaitGroup
			for id := range n {
				c := newRowClient(row, id, d)
				clients.Go(func() {
					_, err := retry.Do(context.Background(), p, func(context.Context) (struct{}, error) { return struct{}{}, c.update(start) })
					if err != nil {
						t.Error(err)
					}
				})
			}
			clients.Wait()
			return row.writes, time.Since(start)
		}
	}
}

// plainE5 has clients that wait as they are told: after the n-th conflict, and a wait of last before.
func plainE5(wait func(n int, last time.Duration, d *dice) time.Duration) func(*dice) raceE5 {
	return func(*dice) raceE5 {
		return func(n int, d *dice) (writes int, took time.Duration) {
			row := new(contendedRow)
			var next eventsE5
			for id := range n {
				c := &plainClient{rowClient: newRowClient(row, id, d), last: e5Base}
				c.at = c.arrives(0, 1)
				next = append(next, c)
			}
			heap.Init(&next)
			for len(next) > 0 {
				c := next[0]
				took = c.at
				if c.step(wait, d) {
					heap.Fix(&next, 0)
				} else {
					heap.Pop(&next)
				}
			}
			return row.writes, took
		}
	}
}

// plainClient is a client in a list of events.
type plainClient struct {
	*rowClient
	at      time.Duration // of its next event
	stage   int           // reads, writes, hears of it
	version int
	err     error
	tries   int
	last    time.Duration
}

// step is the client's event, and finds the next one; there is none when it is through.
func (c *plainClient) step(wait func(n int, last time.Duration, d *dice) time.Duration, d *dice) (more bool) {
	switch c.stage {
	case 0:
		c.version = c.row.read()
		c.at = c.arrives(c.at, 2)
	case 1:
		c.err = c.row.write(c.version)
		c.at = c.arrives(c.at, 1)
	case 2:
		if c.err == nil {
			return false
		}
		c.tries++
		c.last = wait(c.tries, c.last, d)
		c.at = c.arrives(c.at+c.last, 1)
	}
	c.stage = (c.stage + 1) % 3
	return true
}

// eventsE5 are a heap, by time.
type eventsE5 []*plainClient

func (e eventsE5) Len() int           { return len(e) }
func (e eventsE5) Less(i, j int) bool { return e[i].at < e[j].at }
func (e eventsE5) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *eventsE5) Push(any)          { panic("all are there from the start") }
func (e *eventsE5) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// contendedRow is what the clients want to write.
type contendedRow struct {
	mu      sync.Mutex // never held in a wait
	version int
	writes  int
}

func (r *contendedRow) read() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version
}

var errConflict = errors.New("the row has changed")

func (r *contendedRow) write(version int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if version != r.version {
		return errConflict
	}
	r.version++
	return nil
}

type rowClient struct {
	row  *contendedRow
	id   int
	dice *dice // its own, for the network
}

func newRowClient(row *contendedRow, id int, d *dice) *rowClient {
	return &rowClient{row: row, id: id, dice: newDice(d.rng.Uint64(), uint64(id))}
}

// update reads, and writes if nobody else has meanwhile.
func (c *rowClient) update(start time.Time) error {
	c.travel(start, 1)
	version := c.row.read()
	c.travel(start, 2) // back, and there again with the write
	err := c.row.write(version)
	c.travel(start, 1)
	return err
}

// travel is so many messages one after another.
func (c *rowClient) travel(start time.Time, messages int) {
	now := time.Since(start)
	time.Sleep(c.arrives(now, messages) - now)
}

// arrives is when the last of so many messages does. That is a nanosecond that belongs to this client alone, so that the order
// of arrivals never hangs on the scheduler.
func (c *rowClient) arrives(now time.Duration, messages int) time.Duration {
	const turn = 1 << 10
	for range messages {
		now += time.Duration(math.Abs(10+2*c.dice.NormFloat64()) * float64(time.Millisecond))
	}
	return now - now%turn + time.Duration(c.id)
}

// lineE5 is a line of the charts.
type lineE5 struct {
	name              string
	race              func(*dice) raceE5
	n, calls, seconds []float64
}

func (l *lineE5) add(n int, calls, seconds *experiment.Span) {
	l.n = append(l.n, float64(n))
	l.calls = append(l.calls, (calls.Least()+calls.Most())/2)
	l.seconds = append(l.seconds, (seconds.Least()+seconds.Most())/2)
}

func chartE5(r *experiment.Table, lines []*lineE5) {
	calls := record.Chart{Name: "e5-calls", Title: "E5: calls until all clients are through", XLabel: "clients", YLabel: "calls"}
	seconds := record.Chart{Name: "e5-time", Title: "E5: time until all clients are through", XLabel: "clients", YLabel: "seconds", LogY: true}
	for _, l := range lines {
		calls.Series = append(calls.Series, record.Series{Name: l.name, X: l.n, Y: l.calls})
		seconds.Series = append(seconds.Series, record.Series{Name: l.name, X: l.n, Y: l.seconds})
	}
	r.Chart(calls)
	r.Chart(seconds)
}

// deadServerE5 returns how many calls a client makes in a minute of which none is answered well, at 40 ms a call.
func deadServerE5(schedule func(random func() float64) backoff.BackOff) float64 {
	const clients = 200
	calls := 0
	for seed := range uint64(clients) {
		s := schedule(newDice(seed, 5).Float64)
		for at := time.Duration(0); at < time.Minute; at += 40*time.Millisecond + s.NextBackOff() {
			calls++
		}
	}
	return float64(calls) / clients
}

// climb is full jitter with a window that grows threefold.
type climb struct {
	base, top time.Duration
	random    func() float64
	window    time.Duration // 0: before the first
}

func (s *climb) Reset() { s.window = 0 }

func (s *climb) NextBackOff() time.Duration {
	s.window = min(3*max(s.window, s.base), s.top)
	return upTo(s.window, s.random())
}

// zigzag is full jitter with a window that climbs threefold from base to top, falls threefold to a ninth of it, climbs
// again, and so on.
type zigzag struct {
	climb
	turns int // of the window since it was at top; 0: not there yet
}

func newZigzag(random func() float64) backoff.BackOff {
	return &zigzag{climb: climb{base: e5Base, top: e5Cap, random: random}}
}

func (s *zigzag) Reset() { s.window, s.turns = 0, 0 }

func (s *zigzag) NextBackOff() time.Duration {
	if s.turns == 0 && s.window < s.top {
		return s.climb.NextBackOff()
	}
	s.turns++
	return upTo(s.top/[...]time.Duration{1, 3, 9, 3}[s.turns%4], s.random())
}
