package bulkhead_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// TestExperimentE12 is a server that is asked for more than it can do, by clients that do not wait for ever (Maurer, "Fail
// at Scale", ACM Queue 2015: controlled delay and adaptive LIFO).
//
// The model. 10 workers; a call takes one of them for a time that is exponentially distributed, 10 ms on average, so that
// the capacity is 1,000/s. Calls come at random (Poisson), each with the same time in every column. Its client wants the answer
// within 100 ms of asking; what comes later is worth nothing, and work that was begun is done to its end. Counted is the
// goodput: calls answered in time, a second. How many that are hangs on the times that were drawn, too; so what is held to
// the goal from 1.3x on is the share of the workers' time that went into calls which were answered in time.
//
// Without holdfast are plain models. None of them knows when a client has gone. FIFO: first come, first served, all wait; or
// at most 100 do. Semaphore: a call that finds no worker is refused. CoDel: as Maurer has it, first come first served, and a
// call may wait for 5 ms if the queue was not empty in the last 100 ms when it came, else for 100 ms; and the same with adaptive
// LIFO, newest first while the queue has not been empty for 100 ms. LIFO: newest first, always, and nobody is served who has
// waited for 100 ms: of its own numbers it knows the best there can be, for it is told how long clients wait.
//
// With holdfast it is a Bulkhead of Limit 10 and Queue 200, all else at its default. It is not told that clients wait
// for 100 ms, unless they tell: one kind has a context with its deadline; another cancels its context when it goes; a third
// goes and says nothing.
//
// One goroutine for each call, in a bubble. Which calls are timed for the Bulkhead's estimates hangs on where goroutines'
// stacks lie, so its numbers differ by a few tenths of a per cent from run to run.
func TestExperimentE12(t *testing.T) {
	length := time.Duration(experiment.Fewer(10, 4)) * time.Second
	r := experiment.NewTable(
		fmt.Sprintf("E12: goodput (calls a second that are answered within 100 ms) of a server of 1,000/s, for %v; least and most of %d seeds", length, experiment.Seeds),
		"offered", "published", "FIFO", "FIFO of 100", "semaphore", "CoDel", "CoDel, adaptive LIFO", "LIFO with expiry",
		"holdfast, deadline told", "holdfast, cancelled", "holdfast, says nothing",
	)
	loads := []float64{0.9, 1, 1.15, 1.3, 2, 3}
	if experiment.Reduced() {
		loads = []float64{0.9, 1.3, 3}
	}
	lines := make([]record.Series, 6)
	for i, name := range []string{"FIFO", "FIFO of 100", "semaphore", "CoDel", "CoDel, adaptive LIFO", "holdfast, client says nothing"} {
		lines[i].Name = name
	}
	point := func(i int, load float64, s *spansE12) {
		lines[i].X = append(lines[i].X, load)
		lines[i].Y = append(lines[i].Y, (s.goodput.Least()+s.goodput.Most())/2)
	}
	for _, load := range loads {
		row := []string{fmt.Sprintf("%.2fx", load), "-"}
		for i, newQueue := range []func() discipline{
			func() discipline { return &fifo{most: math.MaxInt} },
			func() discipline { return &fifo{most: 100} },
			func() discipline { return &fifo{} },
			func() discipline { return &codel{} },
			func() discipline { return &codel{lifo: true} },
			func() discipline { return &lifo{} },
		} {
			plain := new(spansE12)
			experiment.OverSeeds(func(seed uint64) { plain.add(plainE12(seed, load, length, newQueue()), length) })
			row = append(row, plain.goodput.In("%.0f"))
			if i < 5 {
				point(i, load, plain)
			}
		}
		for _, client := range []struct {
			name string
			kind clientE12
		}{{"deadline told", tells}, {"cancelled", cancels}, {"says nothing", saysNothing}} {
			holdfast := new(spansE12)
			experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
				holdfast.add(holdfastE12(seed, load, length, client.kind, bulkhead.Config{Limit: 10, Queue: 200}), length)
			})
			row = append(row, holdfast.goodput.In("%.0f")+holdfast.goal(t, r, load, client.name))
			if client.name == "says nothing" {
				point(5, load, holdfast)
			}
		}
		r.Row(row...)
	}
	r.Chart(record.Chart{
		Name: "e12-goodput", Title: "E12: goodput of a server of 1,000/s", XLabel: "offered, times the capacity", YLabel: "answers in time, a second", Series: lines,
	})
	r.Print(t, `
Goal: from 1.3x on at least 98 % of the capacity, and at 0.9x at least 99 % of the offered.
FIFO serves those who have waited for longest, and they are about to go: what it answers in time is what came in the first moments,
before its queue was long. The semaphore refuses whom it could have served a
moment later. CoDel and LIFO, which go by time alone, lose calls below the capacity too, in queues that move. From 1.15x on
LIFO with expiry is the most that can be had; a Bulkhead comes as near to it as the times drawn allow to tell.`)
}

// TestExperimentE12Defaults shows why Interval and Target are 10 and 3 times what a call takes, and not what Maurer has, 100 ms
// and 5 ms: with the clients of E12 that go and say nothing, below the capacity and far above it.
func TestExperimentE12Defaults(t *testing.T) {
	if experiment.Reduced() {
		t.Skip("shows nothing in a run that short")
	}
	const length, ms = 6 * time.Second, time.Millisecond
	r := experiment.NewTable(
		fmt.Sprintf("E12, other Intervals and Targets: share of the offered at 0.9x, and of the capacity at 3x, that is answered in time, for %v; least and most of %d seeds", length, experiment.Seeds),
		"Interval, Target", "0.90x", "3.00x",
	)
	for _, row := range []struct {
		name             string
		interval, target time.Duration
		misses           bool // both goals, or one of them for every seed
	}{
		{name: "default (100 ms, 30 ms)"},
		{name: "100 ms, 5 ms", interval: 100 * ms, target: 5 * ms, misses: true},
		{name: "default, 10 ms", target: 10 * ms},
		{name: "default, 50 ms", target: 50 * ms},
		{name: "default, 100 ms", target: 100 * ms, misses: true},
		{name: "1 s, default", interval: time.Second},
		{name: "in the order of their coming", interval: -1, misses: true},
	} {
		below, above := new(spansE12), new(spansE12)
		config := bulkhead.Config{Limit: 10, Queue: 200, Interval: row.interval, Target: row.target}
		experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
			below.add(holdfastE12(seed, 0.9, length, saysNothing, config), length)
			above.add(holdfastE12(seed, 3, length, saysNothing, config), length)
		})
		r.Row(row.name, below.ofOffered.In("%.2f")+" %", above.ofCapacity.In("%.2f")+" %")
		if row.misses && below.ofOffered.Most() >= 99 && above.ofCapacity.Most() >= 98 {
			t.Errorf("%s reaches both goals: then why is it not the default?", row.name)
		}
	}
	r.Print(t, `
A short Target refuses calls of a queue that keeps up; a long one has calls wait until they are of no use any more.`)
}

// resultE12 is of one run.
type resultE12 struct {
	offered, good int
	worked        time.Duration // on calls that were answered in time
}

// spansE12 are of the runs of all seeds.
type spansE12 struct{ goodput, ofOffered, ofCapacity experiment.Span }

func (s *spansE12) add(r resultE12, length time.Duration) {
	s.goodput.Add(float64(r.good) / length.Seconds())
	s.ofOffered.Add(100 * float64(r.good) / float64(r.offered))
	s.ofCapacity.Add(100 * r.worked.Seconds() / (workersE12 * length.Seconds()))
}

// goal checks what is to be reached, and returns what was.
func (s *spansE12) goal(t *testing.T, r *experiment.Table, load float64, client string) string {
	t.Helper()
	switch at := fmt.Sprintf("%.2fx, %s: percent of the ", load, client); {
	case load < 1:
		least := 99.0
		if experiment.Reduced() {
			least = 98 // a single burst weighs more
		}
		r.AtLeast(t, at+"offered", &s.ofOffered, least)
		return " (" + s.ofOffered.In("%.2f") + " %)"
	case load >= 1.3:
		least := 98.0
		if experiment.Reduced() {
			least = 97 // so does the beginning
		}
		r.AtLeast(t, at+"capacity", &s.ofCapacity, least)
		return " (" + s.ofCapacity.In("%.2f") + " %)"
	}
	return ""
}

const workersE12 = 10

// patience is how long a client waits for its answer.
const patience = 100 * time.Millisecond

// clientE12 makes the context of a client's call.
type clientE12 func() (context.Context, context.CancelFunc)

func tells() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func cancels() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	gone := time.AfterFunc(patience, cancel)
	return ctx, func() { gone.Stop(); cancel() }
}

func saysNothing() (context.Context, context.CancelFunc) { return context.Background(), func() {} }

func holdfastE12(seed uint64, load float64, length time.Duration, client clientE12, c bulkhead.Config) (r resultE12) {
	b := bulkhead.MustNew(c)
	var good, worked atomic.Int64
	start := time.Now()
	callsE12(seed, load, length, func(call callE12) {
		r.offered++
		time.Sleep(call.came - time.Since(start))
		go func() {
			ctx, cancel := client()
			defer cancel()
			err := b.Run(ctx, takes(call.work))
			if end := time.Since(start); err == nil && end-call.came <= patience {
				good.Add(1)
				worked.Add(int64(within(end-call.work, end, length)))
			}
		}()
	})
	time.Sleep(10 * time.Second)
	r.good, r.worked = int(good.Load()), time.Duration(worked.Load())
	return r
}

// within is how much of the time from begin to end is in the experiment.
func within(begin, end, length time.Duration) time.Duration { return max(min(end, length)-begin, 0) }

// callE12 is when a call comes, and how long it takes.
type callE12 struct{ came, work time.Duration }

func callsE12(seed uint64, load float64, length time.Duration, each func(callE12)) {
	rng := rand.New(rand.NewPCG(seed, 12))
	for now := time.Duration(0); ; {
		now += time.Duration(rng.ExpFloat64() / load * 1e6)
		if now >= length {
			return
		}
		each(callE12{now, time.Duration(rng.ExpFloat64() * 10e6)})
	}
}

// discipline says who of those that wait goes next.
type discipline interface {
	put(callE12)
	next(now time.Duration) (c callE12, ok bool)
}

// plainE12 is the server without holdfast.
func plainE12(seed uint64, load float64, length time.Duration, queue discipline) (r resultE12) {
	var busy []time.Duration // when each worker that is at work will be free, the latest first
	begin := func(now time.Duration, call callE12) {
		end := now + call.work
		if end-call.came <= patience {
			r.good++
			r.worked += within(now, end, length)
		}
		at, _ := slices.BinarySearchFunc(busy, end, func(a, b time.Duration) int { return int(b - a) })
		busy = slices.Insert(busy, at, end)
	}
	work := func(until time.Duration) {
		for len(busy) > 0 && busy[len(busy)-1] <= until {
			now := busy[len(busy)-1]
			busy = busy[:len(busy)-1]
			if call, ok := queue.next(now); ok {
				begin(now, call)
			}
		}
	}
	callsE12(seed, load, length, func(call callE12) {
		r.offered++
		work(call.came)
		if len(busy) < workersE12 {
			begin(call.came, call)
		} else {
			queue.put(call)
		}
	})
	work(math.MaxInt64)
	return r
}

// fifo: who came first goes first, and at most most wait.
type fifo struct {
	most int
	all  []callE12
}

func (q *fifo) put(c callE12) {
	if len(q.all) < q.most {
		q.all = append(q.all, c)
	}
}

func (q *fifo) next(time.Duration) (c callE12, ok bool) {
	if len(q.all) == 0 {
		return c, false
	}
	c, q.all = q.all[0], q.all[1:]
	return c, true
}

// lifo: who came last goes first, and nobody whose client has gone.
type lifo struct{ all []callE12 }

func (q *lifo) put(c callE12) { q.all = append(q.all, c) }

func (q *lifo) next(now time.Duration) (c callE12, ok bool) {
	for last := len(q.all) - 1; last >= 0; last-- {
		c, q.all = q.all[last], q.all[:last]
		if now-c.came < patience {
			return c, true
		}
	}
	return c, false
}

// codel is what Maurer states: onNewRequest gives each call a time limit for its wait.
type codel struct {
	lifo  bool // newest first while the queue is not empty for long
	all   []callE12
	limit []time.Duration // of each in all: until when it may wait
	empty time.Duration   // when the queue last was
}

const intervalE12, targetE12 = 100 * time.Millisecond, 5 * time.Millisecond

func (q *codel) standing(now time.Duration) bool { return now-q.empty > intervalE12 }

func (q *codel) put(c callE12) {
	if len(q.all) == 0 {
		q.empty = c.came
	}
	limit := c.came + intervalE12
	if q.standing(c.came) {
		limit = c.came + targetE12
	}
	q.all, q.limit = append(q.all, c), append(q.limit, limit)
}

func (q *codel) next(now time.Duration) (c callE12, ok bool) {
	for len(q.all) > 0 && !ok {
		at := 0
		if last := len(q.all) - 1; q.lifo && q.standing(now) {
			at = last
		}
		c, ok = q.all[at], now <= q.limit[at]
		if at == 0 {
			q.all, q.limit = q.all[1:], q.limit[1:]
		} else {
			q.all, q.limit = q.all[:at], q.limit[:at]
		}
	}
	if len(q.all) == 0 {
		q.empty = now
	}
	return c, ok
}
