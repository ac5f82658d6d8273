package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/experiment"
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
// One goroutine a client, in a bubble. Without holdfast a client is a plain loop around time.Sleep; with it,
// retry.Do decides and waits.
func TestExperimentE5(t *testing.T) {
	const clients = 100
	runs := experiment.Fewer(100, 10)
	r := experiment.NewTable(
		fmt.Sprintf("E5: %d clients write one row, optimistically; calls and seconds until all are through: mean of %d runs, least and most of %d seeds", clients, runs, experiment.Seeds),
		"schedule", "published", "re-run without holdfast", "with holdfast",
	)
	for _, row := range []struct {
		name, published string
		plain           func(n int, last time.Duration, d *dice) time.Duration
		schedule        func(random func() float64) backoff.BackOff
		beats           bool
	}{
		{name: "none", published: "-", plain: func(int, time.Duration, *dice) time.Duration { return 0 }},
		{name: "exponential", published: "off the chart in time", plain: func(n int, _ time.Duration, _ *dice) time.Duration { return e5Window(n) }},
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
			calls, seconds := experimentE5(t, clients, runs, func(d *dice) func(func() error) {
				return func(update func() error) {
					last := e5Base
					for n := 1; update() != nil; n++ {
						last = row.plain(n, last, d)
						time.Sleep(last)
					}
				}
			})
			without = calls.In("%.0f") + " calls, " + seconds.In("%.2f") + " s"
		}
		if row.schedule != nil {
			calls, seconds := experimentE5(t, clients, runs, holdfastE5(t, row.schedule))
			with = calls.In("%.0f") + " calls, " + seconds.In("%.2f") + " s"
			if row.beats {
				calls.Below(t, row.name+", calls", 796)
				seconds.Below(t, row.name+", seconds", 4.56)
			}
		}
		r.Row(row.name, row.published, without, with)
	}

	for _, n := range []int{10, 50, 200} {
		with := "full jitter "
		for i, schedule := range []func(func() float64) backoff.BackOff{fullJitterE5, newZigzag} {
			calls, seconds := experimentE5(t, n, max(1, runs/10), holdfastE5(t, schedule))
			with += []string{"", "; zigzag "}[i] + calls.In("%.0f") + " calls, " + seconds.In("%.2f") + " s"
		}
		r.Row(fmt.Sprintf("%d clients", n), "-", "-", with)
	}
	full, zigzag := deadServerE5(fullJitterE5), deadServerE5(newZigzag)
	r.Row("a dead server, a minute", "-", "-", fmt.Sprintf("full jitter %.0f calls a client; zigzag %.0f", full, zigzag))

	r.Print(t, fmt.Sprintf(`
Goal: fewer than 796 calls and less than 4.56 s at once: the fewest calls, and the least time, of the published
jitters when re-run. The article has charts and no numbers. Published full jitter and "with holdfast" are the same
schedule, once as a plain loop and once as retry.Do with retry.FullJitter(10ms, 2s).

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

// holdfastE5 makes calls with retry.Do on a schedule.
func holdfastE5(t *testing.T, schedule func(random func() float64) backoff.BackOff) func(d *dice) func(func() error) {
	return func(d *dice) func(func() error) {
		p := retry.MustNew(retry.Config{
			MaxAttempts: -1,
			Backoff:     func() backoff.BackOff { return schedule(d.Float64) },
		})
		return func(update func() error) {
			_, err := retry.Do(context.Background(), p, func(context.Context) (struct{}, error) { return struct{}{}, update() })
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// experimentE5 returns the calls and the seconds that it takes until n clients are through, each with a call of what
// newCall makes for the seed.
func experimentE5(t *testing.T, n, runs int, newCall func(*dice) func(update func() error)) (calls, seconds *experiment.Span) {
	calls, seconds = new(experiment.Span), new(experiment.Span)
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		d := newDice(seed, 5)
		call := newCall(d)
		var writes int
		var took time.Duration
		for range runs {
			w, d := raceE5(n, d, call)
			writes += w
			took += d
		}
		calls.Add(float64(writes) / float64(runs))
		seconds.Add(took.Seconds() / float64(runs))
	})
	return calls, seconds
}

// raceE5 is one run.
func raceE5(n int, d *dice, call func(update func() error)) (writes int, took time.Duration) {
	row := &contendedRow{start: time.Now()}
	var clients sync.WaitGroup
	for id := range n {
		c := &rowClient{row: row, id: id, dice: newDice(d.rng.Uint64(), uint64(id))}
		clients.Go(func() { call(c.update) })
	}
	clients.Wait()
	return row.writes, time.Since(row.start)
}

// contendedRow is what the clients want to write.
type contendedRow struct {
	start   time.Time
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

// update reads, and writes if nobody else has meanwhile.
func (c *rowClient) update() error {
	c.travel(1)
	version := c.row.read()
	c.travel(2) // back, and there again with the write
	err := c.row.write(version)
	c.travel(1)
	return err
}

// travel is so many messages one after another. The last arrives at a nanosecond that belongs to this client alone, so
// that the order of arrivals never hangs on the scheduler.
func (c *rowClient) travel(messages int) {
	const turn = 1 << 10
	now := time.Since(c.row.start)
	arrives := now
	for range messages {
		arrives += time.Duration(math.Abs(10+2*c.dice.NormFloat64()) * float64(time.Millisecond))
	}
	time.Sleep(arrives - arrives%turn + time.Duration(c.id) - now)
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
