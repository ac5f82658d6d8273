package bulkhead_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

func resize(t *testing.T, b *bulkhead.Bulkhead, limit int) {
	t.Helper()
	if err := b.Resize(limit); err != nil {
		t.Fatal(err)
	}
}

func TestResizeOutOfRange(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 3})
	for _, limit := range []int{0, -1, 1_000_001} {
		if err := b.Resize(limit); err == nil {
			t.Errorf("Resize(%d) succeeded", limit)
		}
		giveBack(takeAll(t, b, 3))
	}
	resize(t, b, 1_000_000)
	giveBack(takeRest(t, b, 0, 100))
	resize(t, b, 1)
	giveBack(takeAll(t, b, 1))
	adaptive := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{}})
	if err := adaptive.Resize(3); err == nil {
		t.Error("an adaptive limit was set")
	}
}

// takeRest takes n places that should be there beside those that are in use.
func takeRest(t *testing.T, b *bulkhead.Bulkhead, inUse, n int) []bulkhead.Permit {
	t.Helper()
	all := make([]bulkhead.Permit, n)
	for i := range all {
		var err error
		if all[i], err = b.TryAcquire(); err != nil {
			t.Fatalf("place %d of %d, with %d in use: %v", i+1, n, inUse, err)
		}
	}
	if s := b.Snapshot(); s.InUse != inUse+n {
		t.Fatalf("%d in use, want %d", s.InUse, inUse+n)
	}
	return all
}

// TestManyMoreSlotsThanPlaces: a limit that was large once leaves slots behind, which are found no more.
func TestManyMoreSlotsThanPlaces(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1000})
	giveBack(takeAll(t, b, 1000))
	for _, n := range []int{1, 2, 40, 999, 3, 1000} {
		resize(t, b, n)
		for range 8 {
			giveBack(takeAll(t, b, n))
		}
	}
}

// TestRaisedStepByStep: with every place in use, there is one more for each by which the limit is raised.
func TestRaisedStepByStep(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	all := takeAll(t, b, 1)
	for n := 2; n <= 300; n++ {
		resize(t, b, n)
		all = append(all, takeRest(t, b, n-1, 1)...)
		if _, err := b.TryAcquire(); what(err) != "full" {
			t.Fatalf("limit %d: one more: %q", n, what(err))
		}
	}
	for n := 299; n >= 1; n-- { // and back: one that leaves makes no room
		resize(t, b, n)
		all[n].Done(nil)
		if _, err := b.TryAcquire(); what(err) != "full" {
			t.Fatalf("lowered to %d: one more: %q", n, what(err))
		}
	}
	all[0].Done(nil)
	giveBack(takeAll(t, b, 1))
}

// TestRaisedLetsInInOrder: those who matter most, who came first; and no more than there is room for.
func TestRaisedLetsInInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, b: busy(t, bulkhead.Config{Queue: 10, Interval: -1}), holds: time.Hour}
		for i := range 3 {
			l.join(fmt.Sprint("prefetch", i), bulkhead.Sheddable, 2*time.Hour)
			l.join(fmt.Sprint("page", i), bulkhead.Normal, 2*time.Hour)
		}
		for i, want := range []string{"page0", "page1", "page2", "prefetch0", "prefetch1"} {
			resize(t, l.b, i+2)
			l.want(fmt.Sprint("raised to ", i+2), want)
		}
		resize(t, l.b, 1)
		l.want("lowered again", "")
		time.Sleep(time.Hour)
		l.want("five have left, and one is still there", "")
		resize(t, l.b, 2)
		l.want("raised to 2", "prefetch2")
		time.Sleep(2 * time.Hour)
	})
}

// TestLoweredBelowUse: none is interrupted, none is let in until there are fewer, and raised again it lets those who wait in
// at once.
func TestLoweredBelowUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 20, Queue: 20, Interval: -1})
		all := takeAll(t, b, 20)
		var in atomic.Int64
		for range 10 {
			go func() {
				p, err := b.Acquire(context.Background())
				if err != nil {
					t.Error(err)
				}
				in.Add(1)
				time.Sleep(time.Hour)
				p.Done(nil)
			}()
		}
		step := func(do string, waitersIn, inUse int) {
			t.Helper()
			synctest.Wait()
			if s := b.Snapshot(); in.Load() != int64(waitersIn) || s.InUse != inUse {
				t.Fatalf("%s: %d got in, and %d are in use; want %d and %d", do, in.Load(), s.InUse, waitersIn, inUse)
			}
		}
		resize := func(n int) { resize(t, b, n) }
		step("at first", 0, 20)
		resize(5)
		giveBack(all[:15])
		step("lowered to 5, 15 left", 0, 5)
		giveBack(all[15:16])
		step("one more left", 1, 5)
		resize(7)
		step("raised to 7", 3, 7)
		resize(7)
		step("and again", 3, 7)
		resize(100)
		step("raised to 100", 10, 14)
		resize(1)
		if _, err := b.TryAcquire(); what(err) != "full" {
			t.Errorf("lowered to 1: %q", what(err))
		}
		giveBack(all[16:])
		time.Sleep(2 * time.Hour)
		giveBack(takeAll(t, b, 1))
		resize(3)
		giveBack(takeAll(t, b, 3))
	})
}
