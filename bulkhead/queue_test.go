package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// TestFirstComeFirstServed: while the queue keeps up, and nobody waits past MaxWait.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1, Queue: 3, MaxWait: time.Second})
		held, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var served []int
		for i := range 5 {
			go func() {
				err := b.Run(t.Context(), func(context.Context) error {
					served = append(served, i)
					time.Sleep(400 * time.Millisecond)
					return nil
				})
				var full *bulkhead.FullError
				if err != nil && (!errors.As(err, &full) || !errors.Is(err, bulkhead.ErrFull)) {
					t.Error(err)
				}
			}()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(45 * time.Millisecond)
		held.Done(nil)
		held.Done(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		s := b.Snapshot()
		if s.InUse != 0 || s.Queued != 0 || len(served) != 3 {
			t.Errorf("served %v, left %+v", served, s)
		}
	})
}

// TestQueueThatStands: when it has not been empty for an Interval, and somebody has waited for more than Target, who came
// last goes first, and the others are refused. When it has been empty, who came first goes first again.
func TestQueueThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 4, Interval: 100 * time.Millisecond, Target: 20 * time.Millisecond})
		l := &line{t: t, b: b, holds: time.Second}
		for range 2 {
			l.join("first", bulkhead.Normal, 0)
			l.want("a place is free", "first")
			for _, name := range []string{"a", "b", "c"} {
				l.join(name, bulkhead.Normal, 0)
				time.Sleep(30 * time.Millisecond)
			}
			l.join("d", bulkhead.Normal, 0)
			l.join("e", bulkhead.Normal, 0)
			l.want("it is full, but keeps up", "e:queue_full")
			time.Sleep(10 * time.Millisecond)
			l.join("f", bulkhead.Normal, 0)
			l.want("100 ms: not yet", "f:queue_full")
			time.Sleep(time.Nanosecond)
			l.join("g", bulkhead.Normal, 0)
			l.want("it stands", "a:overload")
			l.join("h", bulkhead.Sheddable, 0)
			l.want("it matters less than all", "h:queue_full")
			time.Sleep(880 * time.Millisecond)
			l.join("i", bulkhead.Sheddable, 0)
			l.want("it matters less than all", "i:queue_full")
			l.join("j", bulkhead.Critical, 0)
			l.want("the oldest of the less", "b:priority")
			time.Sleep(20 * time.Millisecond) // the place is free
			synctest.Wait()
			slices.Sort(l.fates) // at one moment
			l.want("who matters most gets in, and those who waited too long are refused", "c:overload d:overload g:overload j")
			time.Sleep(time.Second - 15*time.Millisecond)
			l.join("k", bulkhead.Normal, 0)
			time.Sleep(10 * time.Millisecond)
			l.join("l", bulkhead.Normal, 0)
			time.Sleep(3 * time.Second)
			l.want("the queue has been empty: in the order of their coming", "k l")
		}
	})
}

// TestDeadlineRefusedAtOnce: what would not be done before its deadline does not begin to wait.
func TestDeadlineRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 10, Interval: -1})
		l := &line{t: t, b: b, holds: 10 * time.Millisecond}
		l.join("it takes 10 ms", bulkhead.Normal, 0)
		time.Sleep(time.Second)
		l.join("holder", bulkhead.Normal, 0)
		l.want("at first", "it takes 10 ms holder")

		l.join("none ahead, too late", bulkhead.Normal, 10*time.Millisecond-1)
		l.want("at once", "none ahead, too late:deadline")
		l.join("none ahead", bulkhead.Normal, 30*time.Millisecond)
		l.join("one ahead, too late", bulkhead.Normal, 20*time.Millisecond-1)
		l.want("at once", "one ahead, too late:deadline")
		l.join("one ahead", bulkhead.Normal, 40*time.Millisecond)
		l.join("two ahead, too late", bulkhead.Normal, 30*time.Millisecond-1)
		l.want("at once", "two ahead, too late:deadline")
		l.join("critical: none ahead", bulkhead.Critical, 21*time.Millisecond)
		l.join("critical: one ahead, too late", bulkhead.Critical, 20*time.Millisecond-1)
		l.want("at once", "critical: one ahead, too late:deadline")
		time.Sleep(time.Second)
		l.want("then", "critical: none ahead none ahead one ahead")

		s := b.Snapshot()
		if s.Refused != 4 || s.RefusedBy[bulkhead.ReasonDeadline] != 4 || s.Waited != 3 || s.Ignored != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestDeadlineRefusedInTurn: the place comes too late for who is first in the queue, and so goes to the next, at the same
// moment.
func TestDeadlineRefusedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 10, Interval: -1})
		l := &line{t: t, b: b, holds: 10 * time.Millisecond}
		l.join("it takes 10 ms", bulkhead.Normal, 0)
		time.Sleep(time.Second)
		held, err := b.TryAcquire()
		if err != nil {
			t.Fatal(err)
		}
		l.join("too late", bulkhead.Normal, 25*time.Millisecond)
		l.join("too late also", bulkhead.Normal, 25*time.Millisecond)
		l.join("has time", bulkhead.Normal, 35*time.Millisecond)
		l.want("at first", "it takes 10 ms")
		time.Sleep(20 * time.Millisecond)
		l.want("they wait", "")
		held.Done(nil)
		synctest.Wait()
		slices.Sort(l.fates)
		l.want("when there is a place", "has time too late also:deadline too late:deadline")
		if s := b.Snapshot(); s.InUse != 1 || s.Queued != 0 || s.Waits.Max != 20*time.Millisecond {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Second)
		giveBack(takeAll(t, b, 1)) // the last one refused leaves the place to whoever comes
	})
}

// TestDeadlinePassesInTheQueue: where nothing is known of how long calls take, the context's own end is the end of the wait.
func TestDeadlinePassesInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busy(t, bulkhead.Config{Queue: 10})
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 70*time.Millisecond)
		defer cancel()
		_, err := b.Acquire(ctx)
		var full *bulkhead.FullError
		if !errors.As(err, &full) || full.Reason != bulkhead.ReasonEnded || full.Waited != 70*time.Millisecond ||
			!errors.Is(err, context.DeadlineExceeded) || !full.Timeout() {
			t.Errorf("%+v", err)
		}
		if waited := time.Since(start); waited != 70*time.Millisecond {
			t.Errorf("after %v", waited)
		}
		if s := b.Snapshot(); s.Ignored != 1 || s.Refused != 0 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestCancelledLeavesAtOnce: from anywhere in the queue; its place there is free for another, and the order stays.
func TestCancelledLeavesAtOnce(t *testing.T) {
	for leaver := range 4 {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 4, Interval: -1})
			l := &line{t: t, b: b}
			held, err := b.TryAcquire()
			if err != nil {
				t.Fatal(err)
			}
			var leave [4]func()
			var rest []string
			for i := range leave {
				leave[i] = l.join(fmt.Sprint(i), bulkhead.Normal, 0)
				if i != leaver {
					rest = append(rest, fmt.Sprint(i))
				}
			}
			l.join("no room", bulkhead.Normal, 0)
			l.want("it is full", "no room:queue_full")
			before := time.Now()
			leave[leaver]()
			l.want("at once", fmt.Sprint(leaver, ":ended"))
			if !time.Now().Equal(before) || b.Snapshot().Queued != 3 {
				t.Errorf("%v later: %+v", time.Since(before), b.Snapshot())
			}
			l.join("room", bulkhead.Normal, 0)
			held.Done(nil)
			l.want("the others", strings.Join(rest, " ")+" room")
		})
	}
}

// TestCancelledAsThePlaceComes: whoever is first, the place is not lost; and the call is told that it is over.
func TestCancelledAsThePlaceComes(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 2})
			held, err := b.TryAcquire()
			if err != nil {
				t.Fatal(err)
			}
			l := &line{t: t, b: b, holds: time.Hour}
			leave := l.join("leaver", bulkhead.Normal, 0)
			l.join("next", bulkhead.Normal, 0)
			leave()
			held.Done(nil)
			synctest.Wait()
			slices.Sort(l.fates)
			l.want("both at once", "leaver:ended next")
			time.Sleep(2 * time.Hour)
			if s := b.Snapshot(); s.InUse != 0 || s.Successes != 2 || s.Ignored != 1 || s.Refused != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestSlowAtFirst: the first call takes ten seconds, as one that has connections to make may. Soon afterwards nobody is
// refused for it.
func TestSlowAtFirst(t *testing.T) {
	for _, limit := range []int{1, 4, 32} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: limit, Queue: 4 * limit})
			if err := b.Run(t.Context(), lasting(10*time.Second)); err != nil {
				t.Fatal(err)
			}
			const work, patience = time.Millisecond, 40 * time.Millisecond
			if good := arrivals(b, limit, 0.8, 500, patience, lasting(work)); good < 0.80 {
				t.Errorf("limit %d: of the first 500, %.1f %% succeed, want 80: %+v", limit, 100*good, b.Snapshot())
			}
			if good := arrivals(b, limit, 0.8, 1000, patience, lasting(work)); good < 0.97 {
				t.Errorf("limit %d: then %.1f %% succeed, want 97: %+v", limit, 100*good, b.Snapshot())
			}
		})
	}
}

// TestSlowOnce: one call in the middle takes ten seconds. A few are refused for it, until as many calls have been timed as
// it takes to see that it was one.
func TestSlowOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 4, Queue: 16})
		const work, patience = time.Millisecond, 40 * time.Millisecond
		for range 5 {
			if good := arrivals(b, 4, 0.8, 1000, patience, lasting(work)); good < 0.99 {
				t.Errorf("%.1f %% succeed, want 99: %+v", 100*good, b.Snapshot())
			}
			if err := b.Run(t.Context(), lasting(10*time.Second)); err != nil {
				t.Fatal(err)
			}
			if good := arrivals(b, 4, 0.8, 500, patience, lasting(work)); good < 0.90 {
				t.Errorf("just after it %.1f %% succeed, want 90: %+v", 100*good, b.Snapshot())
			}
		}
	})
}

// TestNowAndThenSlow: 95 of 100 calls take a millisecond and 5 a second, at about what the bulkhead can do; all
// have forty milliseconds. Those who wait are not refused because some calls take longer than that.
func TestNowAndThenSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 64, Queue: 128})
		var calls atomic.Int64
		bimodal := func(ctx context.Context) error {
			if calls.Add(1)%20 > 0 {
				return lasting(time.Millisecond)(ctx)
			}
			return lasting(time.Second)(ctx)
		}
		// The slow ones hold their places for as long as their callers wait: 3 ms a call on average.
		if good := arrivals(b, 64, 0.8/2.95, 10_000, 40*time.Millisecond, bimodal); good < 0.93 {
			t.Errorf("%.1f %% succeed, want 93 of the 95 that can: %+v", 100*good, b.Snapshot())
		}
	})
}

// lasting is work of some length, that ends with its context.
func lasting(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// arrivals offers n calls to a bulkhead, at random times, load times as many as it can do if each takes a millisecond;
// and returns the share that succeed within their callers' patience.
func arrivals(b *bulkhead.Bulkhead, limit int, load float64, n int, patience time.Duration, work func(context.Context) error) float64 {
	random := rand.New(rand.NewPCG(uint64(limit), uint64(n)))
	gap := float64(time.Millisecond) / float64(limit) / load
	var good atomic.Int64
	var all sync.WaitGroup
	for range n {
		time.Sleep(time.Duration(random.ExpFloat64() * gap))
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if b.Run(ctx, work) == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	return float64(good.Load()) / float64(n)
}
