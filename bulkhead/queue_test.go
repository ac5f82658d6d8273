package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
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
		if good := arrivals(b, 64, 0.8/2.95, 20_000, 40*time.Millisecond, bimodal); good < 0.93 {
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
