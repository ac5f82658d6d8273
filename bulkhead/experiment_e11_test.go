package bulkhead_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/internal/experiment"
)

// TestExperimentE11 is bimodal latency (Google's SRE book, chapter 22): a frontend of which a small share of the calls hang,
// because a part of its backend cannot be had, and soon all of its threads are with those.
//
// The model. 1,000 threads; 1,000 calls a second come at random (Poisson), and one that finds no thread is refused. A call
// takes 100 ms. Of each 20 one, at random, hangs until its deadline of 100 s, which is an error too. It goes on for 100 s, which
// is one turn: the threads fill up in the first 20 s, and are stuck until those deadlines pass; then they would fill up
// again. What was published is the share of calls that find no thread on average, 1 - 1,000 / (50/s · 100 s + 950/s · 0.1 s).
//
// With holdfast the frontend has a Keyed with a Total of 1,000, each key's share the default quarter of it, and no queue. The
// key is what hangs or does not: the part of the backend that a call goes to. The hanging calls have a part of their own, one of
// 4 or one of 20; the others spread evenly over the rest. The last column shows what a key does not do: four parts with a
// quarter of the calls each, and of one of them a fifth hang. That part is lost, and no other.
//
// One goroutine for each call, in a bubble; without holdfast a plain loop. The calls are the same in all columns.
func TestExperimentE11(t *testing.T) {
	scale := experiment.Fewer(1, 10)
	r := experiment.NewTable(
		fmt.Sprintf("E11: %d threads, %d calls/s of 100 ms, and 5 %% of them hang for 100 s; for 100 s; least and most of %d seeds", 1000/scale, 1000/scale, experiment.Seeds),
		"", "published", "re-run without holdfast", "with holdfast, hanging key one of 4", "with holdfast, one of 20", "a fifth of one of 4 hangs",
	)
	plain, four, twenty, mixed := new(spansE11), new(spansE11), new(spansE11), new(spansE11)
	experiment.OverSeeds(func(seed uint64) { plain.add(plainE11(seed, scale)) })
	for result, keyOf := range map[*spansE11]keyE11{
		four:   ownKey(4),
		twenty: ownKey(20),
		mixed:  sharedKey,
	} {
		experiment.InBubbles(t, func(_ *testing.T, seed uint64) { result.add(holdfastE11(seed, scale, keyOf)) })
	}
	for _, row := range []struct {
		name, published string
		of              func(*spansE11) string
	}{
		{"refused", "80.4 %", func(s *spansE11) string { return s.refused.In("%.2f") + " %" }},
		{"errors: refused, and hung", "-", func(s *spansE11) string { return s.errors.In("%.2f") + " %" }},
		{"errors of calls that would not hang", "-", func(s *spansE11) string { return s.lost.In("%.2f") + " %" }},
		{"threads in use, at most", "1,000", func(s *spansE11) string { return s.threads.In("%.0f") }},
	} {
		r.Row(row.name, row.published, row.of(plain), row.of(four), row.of(twenty), row.of(mixed))
	}
	if !experiment.Reduced() { // in a tenth of the size chance has more of a say
		plain.refused.AtLeast(t, "re-run: refused", 79)
		plain.refused.AtMost(t, "re-run: refused", 81)
	}
	for _, row := range []struct {
		name string
		of   *spansE11
	}{{"one of 4", four}, {"one of 20", twenty}} {
		r.AtMost(t, "hanging key "+row.name+": errors, percent", &row.of.errors, 5.1)
		row.of.threads.AtMost(t, row.name+": threads", float64(600/scale))
	}
	mixed.errors.AtMost(t, "a fifth of one of 4: errors", 25)
	r.Print(t, `
Goal: errors of at most 5.1 %, of which 5 % are the calls that hang. A quarter of the threads are with those, and the others'
calls find one always. Where calls that hang and calls that do not share a key, the key is lost: a quarter of the calls, not all.`)
}

// callE11 is one call of the experiment.
type callE11 struct {
	came  time.Duration
	hangs bool
	dice  int // for what else is drawn
}

const lengthE11, shortE11, hungE11 = 100 * time.Second, 100 * time.Millisecond, 100 * time.Second

func callsE11(seed uint64, scale int, each func(callE11)) {
	rng := rand.New(rand.NewPCG(seed, 11))
	now, hangs := time.Duration(0), 0
	for i := 0; ; i++ {
		if i%20 == 0 {
			hangs = i + rng.IntN(20)
		}
		if now += time.Duration(rng.ExpFloat64() * 1e6 * float64(scale)); now >= lengthE11 {
			return
		}
		each(callE11{now, i == hangs, int(rng.Int32())})
	}
}

// keyE11 says which part of the backend a call goes to.
type keyE11 func(callE11) int

// ownKey has the calls that hang go to a part of their own, one of n.
func ownKey(n int) keyE11 {
	return func(c callE11) int {
		if c.hangs {
			return 0
		}
		return 1 + c.dice%(n-1)
	}
}

// sharedKey has four parts of a quarter of the calls each. Those that hang, a twentieth of all, go to the first of them, and
// so do four times as many others: of those 20 of 95.
func sharedKey(c callE11) int {
	if c.hangs || c.dice%95 < 20 {
		return 0
	}
	return 1 + c.dice%95%3
}

type resultE11 struct{ calls, refused, hung, lost, threads int }

type spansE11 struct{ refused, errors, lost, threads experiment.Span }

func (s *spansE11) add(r resultE11) {
	percent := func(n int) float64 { return 100 * float64(n) / float64(r.calls) }
	s.refused.Add(percent(r.refused))
	s.errors.Add(percent(r.refused + r.hung))
	s.lost.Add(percent(r.lost))
	s.threads.Add(float64(r.threads))
}

// plainE11 is a frontend whose threads are for all calls.
func plainE11(seed uint64, scale int) (r resultE11) {
	var ends [2][]time.Duration // of the calls under way: short ones, and those that hang
	callsE11(seed, scale, func(c callE11) {
		for i := range ends {
			for len(ends[i]) > 0 && ends[i][0] <= c.came {
				ends[i] = ends[i][1:]
			}
		}
		r.calls++
		if len(ends[0])+len(ends[1]) == 1000/scale {
			r.refused++
			if !c.hangs {
				r.lost++
			}
			return
		}
		if c.hangs {
			r.hung++
			ends[1] = append(ends[1], c.came+hungE11)
		} else {
			ends[0] = append(ends[0], c.came+shortE11)
		}
		r.threads = max(r.threads, len(ends[0])+len(ends[1]))
	})
	return r
}

func holdfastE11(seed uint64, scale int, keyOf keyE11) (r resultE11) {
	k := bulkhead.MustNewKeyed[int](bulkhead.KeyedConfig{Total: 1000 / scale})
	var refused, hung, lost, running, threads atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	callsE11(seed, scale, func(c callE11) {
		r.calls++
		time.Sleep(c.came - time.Since(start))
		all.Go(func() {
			ctx, cancel := context.Background(), context.CancelFunc(func() {})
			if c.hangs {
				ctx, cancel = context.WithTimeout(ctx, hungE11)
			}
			defer cancel()
			err := k.Get(keyOf(c)).Run(ctx, func(ctx context.Context) error {
				defer running.Add(-1)
				n := running.Add(1)
				for most := threads.Load(); n > most && !threads.CompareAndSwap(most, n); most = threads.Load() {
				}
				if !c.hangs {
					time.Sleep(shortE11)
					return nil
				}
				<-ctx.Done()
				hung.Add(1)
				return ctx.Err()
			})
			if _, ok := err.(*bulkhead.FullError); ok {
				refused.Add(1)
			}
			if err != nil && !c.hangs {
				lost.Add(1)
			}
		})
	})
	all.Wait()
	r.refused, r.hung, r.lost, r.threads = int(refused.Load()), int(hung.Load()), int(lost.Load()), int(threads.Load())
	return r
}
