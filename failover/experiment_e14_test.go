package failover_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/experiment"
)

const ms = time.Millisecond

// TestExperimentE14 is one slow backend of eleven (Linkerd, 2016).
//
// The model. A backend answers after N(167, 5) ms; one of them takes 2 s from 15 s to 45 s of a minute. There are 1,000
// calls a second, by the clock, and a call that has no answer after a second has failed. The published client had no health
// checks, so the re-run of each balance has none either (the real package with all of them off).
//
// With holdfast: PeakEWMA and all defaults, under a hedge after 400 ms.
func TestExperimentE14(t *testing.T) {
	seconds := experiment.Fewer(60, 30)
	off := failover.Config[int]{ConsecutiveFailures: -1, FailureMargin: -1, SlowFactor: -1, MaxTries: 1}
	r := experiment.NewTable(
		fmt.Sprintf("E14: 11 backends, one slow for half of %d s; least and most of %d seeds", seconds, experiment.Seeds),
		"", "published", "re-run", "more requests", "requests to the slow one while it is",
	)
	var rows [4]struct{ success, extra, slow experiment.Span }
	experiment.InBubbles(t, func(t *testing.T, seed uint64) {
		for i, balance := range []failover.Balance{failover.RoundRobin, failover.LeastLoaded, failover.PeakEWMA, failover.PeakEWMA} {
			c, p := off, (*hedge.Policy)(nil)
			if i == 3 {
				c, p = failover.Config[int]{}, hedge.MustNew(hedge.Config{Delay: 400 * ms})
			}
			c.Balance, c.Targets = balance, targets(11)
			success, extra, slow := runE14(t, seed, seconds, failover.MustNew(c), p)
			rows[i].success.Add(success)
			rows[i].extra.Add(extra)
			rows[i].slow.Add(slow)
		}
	})
	for i, name := range []string{"round robin", "least loaded", "peak EWMA", "with holdfast: peak EWMA, health, hedge"} {
		r.Row(name, []string{"95 %", "99 %", "99.9 %", "-"}[i], rows[i].success.In("%.3f")+" %", "+"+rows[i].extra.In("%.3f")+" %", rows[i].slow.In("%.0f"))
	}
	rows[0].success.AtMost(t, "round robin", 96)
	rows[1].success.AtMost(t, "least loaded", 99.8)
	r.AtLeast(t, "success, percent", &rows[3].success, 100)
	r.AtMost(t, "more requests, percent", &rows[3].extra, 0.1)
	r.Print(t, `
Goal: all calls succeed, with at most 0.1 % more requests.
With holdfast: failover.Config{Balance: PeakEWMA} under hedge.Config{Delay: 400ms}, all else by default. The hedge saves the
calls that have gone to the slow backend; each that lost by far counts against it, so that after five it is ejected, and one
call finds out whether it is back each time that is over.`)
}

func runE14(t *testing.T, seed uint64, seconds int, g *failover.Group[int], p *hedge.Policy) (success, extra, slow float64) {
	const perSecond, slowOne = 1000, 3
	start, length := time.Now(), time.Duration(seconds)*time.Second
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 14))
	var good, requests, toSlow atomic.Int64
	backend := func(ctx context.Context, i int) (int, error) {
		requests.Add(1)
		mu.Lock()
		takes := 167*ms + time.Duration(rng.NormFloat64()*5*float64(ms))
		mu.Unlock()
		if at := time.Since(start); i == slowOne && at >= length/4 && at < length*3/4 {
			takes = 2 * time.Second
			toSlow.Add(1)
		}
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
			return i, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	calls := seconds * perSecond
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := hedge.Do(ctx, p, func(ctx context.Context) (int, error) { return failover.Do(ctx, g, backend) })
			if err == nil {
				good.Add(1)
			}
		})
		time.Sleep(time.Second / perSecond)
	}
	all.Wait()
	return 100 * float64(good.Load()) / float64(calls), 100 * float64(requests.Load()-int64(calls)) / float64(calls), float64(toSlow.Load())
}
