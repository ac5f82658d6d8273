package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

func newKeyed(t *testing.T, c bulkhead.KeyedConfig) *bulkhead.Keyed[string] {
	t.Helper()
	k, err := bulkhead.NewKeyed[string](c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fillUp takes places without waiting until there is none, and says why there was none.
func fillUp(t *testing.T, b *bulkhead.Bulkhead) (held []bulkhead.Permit, none bulkhead.Reason) {
	t.Helper()
	for {
		p, err := b.TryAcquire()
		if err != nil {
			return held, refused(t, err).Reason
		}
		held = append(held, p)
	}
}

func done(held []bulkhead.Permit) {
	for _, p := range held {
		p.Done(nil)
	}
}

func TestKeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants"}, Total: 8, MaxKeys: 2, IdleAfter: time.Minute})
		a := k.Get("a")
		if k.Get("a") != a || k.Get("b") == a {
			t.Fatal("not one bulkhead for each key")
		}
		held, why := fillUp(t, a)
		if len(held) != 2 || why != bulkhead.ReasonFull {
			t.Errorf("a key has %d places (%v), want a quarter of 8", len(held), why)
		}
		if err := a.Run(t.Context(), takes(0)); err == nil || err.Error() != "bulkhead tenants[a]: full" {
			t.Errorf("%v, want it to name the key", err)
		}
		if err := k.Get("b").Run(t.Context(), takes(0)); err != nil {
			t.Errorf("one key's calls refuse another's: %v", err)
		}
		k.Get("a")
		k.Get("c") // b goes: the least recently used
		var keys []string
		for key := range k.All() {
			keys = append(keys, key)
		}
		if k.Len() != 2 || !strings.Contains(fmt.Sprint(keys), "a") || k.Get("a") != a {
			t.Errorf("%d keys: %v", k.Len(), keys)
		}
		done(held)
		time.Sleep(time.Minute + time.Second)
		if n := k.Len(); n != 0 {
			t.Errorf("%d keys are left after IdleAfter", n)
		}
		for range k.All() {
			t.Error("an idle key is listed")
		}
	})
}

// TestNilKeyed lets all calls pass.
func TestNilKeyed(t *testing.T) {
	var none *bulkhead.Keyed[string]
	if none.Get("a") != nil || none.Total() != nil || none.Len() != 0 || none.Get("a").Run(t.Context(), takes(0)) != nil {
		t.Error("a call does not pass")
	}
	for range none.All() {
		t.Error("a bulkhead of none")
	}
	if err := none.Total().Resize(3); err != nil {
		t.Error(err)
	}
}

// TestKeyedTotal: shares may add up to more than the total, which is never exceeded.
func TestKeyedTotal(t *testing.T) {
	k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 4}, Total: 10})
	var all []bulkhead.Permit
	for i, want := range []struct {
		places int
		none   bulkhead.Reason
	}{{4, bulkhead.ReasonFull}, {4, bulkhead.ReasonFull}, {2, bulkhead.ReasonTotal}, {0, bulkhead.ReasonTotal}} {
		held, why := fillUp(t, k.Get(fmt.Sprint(i)))
		if len(held) != want.places || why != want.none {
			t.Errorf("key %d has %d places (%v), want %v", i, len(held), why, want)
		}
		all = append(all, held...)
	}
	if s := k.Get("2").Snapshot(); s.InUse != 2 || s.Refused != 1 {
		t.Errorf("a place of key 2 was not given back when the total refused: %+v", s)
	}
	all[0].Done(nil)
	all[0].Done(nil) // does nothing: neither to the key nor to the total
	if s := k.Total().Snapshot(); s.InUse != 9 || s.Limit != 10 {
		t.Errorf("%+v", s)
	}
	if held, why := fillUp(t, k.Get("3")); len(held) != 1 || why != bulkhead.ReasonTotal {
		t.Errorf("one place is free, and there were %d (%v)", len(held), why)
	}
}

// TestKeyedTotalResized: raised, it lets in who waits for it; lowered, it takes effect as calls end.
func TestKeyedTotalResized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 4, Queue: 4}, Total: 4})
		held, _ := fillUp(t, k.Get("a"))
		first, second := waits(t.Context(), k.Get("b")), waits(t.Context(), k.Get("b"))
		if s := k.Total().Snapshot(); s.Queued != 2 {
			t.Fatalf("%d calls wait for the total, want 2", s.Queued)
		}
		if err := k.Total().Resize(6); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		if err := k.Total().Resize(1); err != nil {
			t.Fatal(err)
		}
		done(held[:3])
		if _, err := k.Get("b").TryAcquire(); err == nil || refused(t, err).Reason != bulkhead.ReasonTotal {
			t.Errorf("one runs of at most one: %v", err)
		}
		done(held)
		if _, err := k.Get("b").TryAcquire(); err != nil {
			t.Error(err)
		}
		if err := k.Total().Resize(0); err == nil {
			t.Error("a limit of zero was taken")
		}
	})
}

// TestKeyedQueues: a call waits for its key's place, then for the total's; MaxWait, its context and what the error tells are
// of both together.
func TestKeyedQueues(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name          string
		own, total    time.Duration // when these places are free; 0: never
		giveUp        time.Duration // when the context ends; 0: never
		waited        time.Duration
		reason        bulkhead.Reason // if it is refused
		atKey, atRest uint64          // waits that the snapshots of its key and of the total have
		inUse         int             // places of its key that are taken then
	}{
		{name: "both", own: 60 * ms, total: 90 * ms, waited: 90 * ms, atKey: 1, atRest: 2, inUse: 1},
		{name: "both at once", own: 60 * ms, total: 30 * ms, waited: 60 * ms, atKey: 1, atRest: 1, inUse: 1},
		{name: "MaxWait at the key", total: 30 * ms, waited: 100 * ms, reason: bulkhead.ReasonMaxWait, atKey: 1, atRest: 1, inUse: 1},
		{name: "MaxWait at the total", own: 60 * ms, waited: 100 * ms, reason: bulkhead.ReasonMaxWait, atKey: 1, atRest: 2},
		{name: "ends at the key", total: 30 * ms, giveUp: 50 * ms, waited: 50 * ms, reason: bulkhead.ReasonEnded, atKey: 1, atRest: 1, inUse: 1},
		{name: "ends at the total", own: 60 * ms, giveUp: 70 * ms, waited: 70 * ms, reason: bulkhead.ReasonEnded, atKey: 1, atRest: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 1, Queue: 1, MaxWait: 100 * ms}, Total: 2})
				for key, after := range map[string]time.Duration{"a": test.own, "b": test.total} {
					held := hold(t, k.Get(key))
					if after > 0 {
						time.AfterFunc(after, func() { held.Done(nil) })
					}
				}
				go func() { hold(t, k.Get("c")) }() // waits for the total, and so is before the call
				synctest.Wait()

				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.giveUp > 0 {
					time.AfterFunc(test.giveUp, cancel)
				}
				began := time.Now()
				p, err := k.Get("a").Acquire(ctx)
				if waited := time.Since(began); waited != test.waited {
					t.Errorf("it waited for %v, want %v", waited, test.waited)
				}
				own, total := k.Get("a").Snapshot(), k.Total().Snapshot()
				if own.Waited != test.atKey || total.Waited != test.atRest || own.Queued+total.Queued != 0 || own.InUse != test.inUse {
					t.Errorf("of the key %+v, of the total %+v", own, total)
				}
				if test.reason == bulkhead.ReasonFull { // none
					if err != nil {
						t.Error(err)
					}
					p.Done(nil)
					return
				}
				if full := refused(t, err); full.Reason != test.reason || full.Waited != test.waited {
					t.Errorf("%v (%v) after %v, want %v after %v", full, full.Reason, full.Waited, test.reason, test.waited)
				}
			})
		})
	}
}

// TestKeyedRefusedByTotal: for any reason, and each time the key's place goes back.
func TestKeyedRefusedByTotal(t *testing.T) {
	for _, test := range []struct {
		reason bulkhead.Reason
		queue  int
		refuse func(ctx context.Context, a, b *bulkhead.Bulkhead, held bulkhead.Permit) error
	}{
		{reason: bulkhead.ReasonTotal, queue: 1, refuse: func(ctx context.Context, a, b *bulkhead.Bulkhead, _ bulkhead.Permit) error {
			waits(ctx, b)
			return a.Run(ctx, takes(0))
		}},
		{reason: bulkhead.ReasonDeadline, queue: 1, refuse: func(ctx context.Context, a, _ *bulkhead.Bulkhead, _ bulkhead.Permit) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
			defer cancel()
			return a.Run(ctx, takes(0))
		}},
		{reason: bulkhead.ReasonPriority, queue: 1, refuse: func(ctx context.Context, a, b *bulkhead.Bulkhead, _ bulkhead.Permit) error {
			lower := waits(bulkhead.WithPriority(ctx, bulkhead.Sheddable), a)
			waits(bulkhead.WithPriority(ctx, bulkhead.Critical), b)
			return <-lower
		}},
		{reason: bulkhead.ReasonOverload, queue: 2, refuse: func(ctx context.Context, a, b *bulkhead.Bulkhead, held bulkhead.Permit) error {
			older := waits(ctx, a)
			time.Sleep(150 * time.Millisecond)
			waits(ctx, b)
			held.Done(nil)
			return <-older
		}},
	} {
		t.Run(test.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Queue: test.queue}, Total: 1})
				a, b, other := k.Get("a"), k.Get("b"), k.Get("other")
				ctx, cancel := context.WithCancel(t.Context())
				if err := other.Run(ctx, takes(10*time.Millisecond)); err != nil { // that is how long calls take
					t.Fatal(err)
				}
				full := refused(t, test.refuse(ctx, a, b, hold(t, other)))
				if full.Reason != test.reason || full.Name != "tenants[a]" || full.RetryAfter() == 0 {
					t.Errorf("%v (%v), retry after %v", full, full.Reason, full.RetryAfter())
				}
				if s := a.Snapshot(); s.InUse != 0 || s.Refused != 1 || s.RefusedBy[test.reason] != 1 {
					t.Errorf("a place is not back, or the refusal not counted: %+v", s)
				}
				cancel()
				time.Sleep(time.Second)
			})
		})
	}
}

// TestKeyedTotalAfterAWait: it waited for its key's place, and then there was none of the total's.
func TestKeyedTotalAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Limit: 1, Queue: 1}, Total: 2})
		ctx, cancel := context.WithCancel(t.Context())
		own := hold(t, k.Get("a"))
		hold(t, k.Get("b"))
		result := waits(ctx, k.Get("a"))
		time.Sleep(20 * time.Millisecond)
		waits(ctx, k.Get("c"))
		if err := k.Total().Resize(1); err != nil {
			t.Fatal(err)
		}
		own.Done(nil) // its place of the total goes to nobody, and c still waits for one
		full := refused(t, <-result)
		if want := "bulkhead tenants[a]: all keys together are full after waiting for 20ms"; full.Error() != want || full.Reason != bulkhead.ReasonTotal {
			t.Errorf("%v (%v), want %s", full, full.Reason, want)
		}
		cancel()
		time.Sleep(time.Second)
	})
}

// TestKeyedFairness: keys that all want more than there is have as much each, and one that wants no end has no more.
func TestKeyedFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Queue: 100}, Total: 8})
		clients := map[string]int{"greedy": 100, "busy": 10, "two": 2, "one": 1, "some": 1, "other": 1, "last": 1}
		served := map[string]*atomic.Int64{}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for key, n := range clients {
			served[key] = new(atomic.Int64)
			for i := range n {
				dice := rand.New(rand.NewPCG(uint64(i), uint64(len(served))))
				all.Go(func() {
					for ctx.Err() == nil {
						if k.Get(key).Run(context.Background(), takes(time.Duration(dice.Int64N(20e6)))) == nil {
							served[key].Add(1)
						} else {
							time.Sleep(time.Millisecond)
						}
					}
				})
			}
		}
		all.Wait()
		// Ten calls want one of eight places: two of each of three keys (their share), and one of each of four.
		const each = 10 * 800 / 10
		for key, n := range clients {
			want := float64(min(n, 2) * each)
			if got := float64(served[key].Load()); math.Abs(got-want) > 0.1*want {
				t.Errorf("%s, which has %d clients, was served %v times, want %v", key, n, got, want)
			}
		}
	})
}

// TestKeyedHangingKeys: those of others' calls that hang take their shares, and leave the rest its own.
func TestKeyedHangingKeys(t *testing.T) {
	k := newKeyed(t, bulkhead.KeyedConfig{Total: 20})
	for _, key := range []string{"hangs", "hangs too", "and this"} {
		if held, why := fillUp(t, k.Get(key)); len(held) != 5 || why != bulkhead.ReasonFull {
			t.Errorf("%s has %d places (%v), want a quarter of 20", key, len(held), why)
		}
	}
	for range 1000 {
		if err := k.Get("works").Run(t.Context(), takes(0)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeyedTotalSnapshot: the total counts the calls of all keys, also of those that have gone.
func TestKeyedTotalSnapshot(t *testing.T) {
	k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 2}, Total: 3, MaxKeys: 1})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	const keys = 5
	for i := range keys {
		b := k.Get(fmt.Sprint(i))
		_ = b.Run(t.Context(), takes(0))
		_ = b.Run(t.Context(), func(context.Context) error { return errShutdown })
		_ = b.Run(t.Context(), func(context.Context) error { return context.Canceled })
		_ = b.Run(over, takes(0))
		_, _ = b.Acquire(over)
		held, _ := fillUp(t, b)
		for _, p := range held {
			p.Done(errShutdown)
		}
		if s := b.Snapshot(); s.Successes != 1 || s.Failures != 3 || s.Ignored != 3 || s.Refused != 1 {
			t.Errorf("of a key: %+v", s)
		}
		runtime.GC() // the key before has gone
	}
	if s := k.Total().Snapshot(); s.InUse != 0 || s.Successes != keys || s.Failures != 3*keys || s.Ignored != 3*keys || s.RefusedBy[bulkhead.ReasonFull] != keys || s.Refused != keys {
		t.Errorf("of all keys: %+v", s)
	}
}

// TestKeyedRate: each key has its own, and a call that the total refuses spends none of it.
func TestKeyedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 4, Rate: 1, Burst: 3}, Total: 4})
		why := func(key string) (r bulkhead.Reason) {
			p, err := k.Get(key).TryAcquire()
			if p.Done(nil); err != nil {
				return refused(t, err).Reason
			}
			return r
		}
		held := []bulkhead.Permit{hold(t, k.Get("a")), hold(t, k.Get("a")), hold(t, k.Get("b")), hold(t, k.Get("b"))}
		for range 10 {
			if r := why("c"); r != bulkhead.ReasonTotal {
				t.Errorf("refused by %v", r)
			}
		}
		done(held)
		for range 3 {
			if r := why("c"); r != 0 {
				t.Errorf("a token of c was spent on a call that was not made: %v", r)
			}
		}
		if r := why("c"); r != bulkhead.ReasonRate {
			t.Errorf("refused by %v: the tokens that came back are more than there were", r)
		}
		if a, b := why("a"), why("a"); a != 0 || b != bulkhead.ReasonRate {
			t.Errorf("key a had one token left: %v, %v", a, b)
		}
	})
}

// TestKeyedAdaptive: what is found for a key is never more than its share.
func TestKeyedAdaptive(t *testing.T) {
	k := newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Adaptive: &bulkhead.Adaptive{}}, Total: 40})
	for _, key := range []string{"a", "b"} {
		if held, why := fillUp(t, k.Get(key)); len(held) > 10 || why != bulkhead.ReasonFull {
			t.Errorf("%s has %d places (%v), its share is 10", key, len(held), why)
		}
	}
	a := &bulkhead.Adaptive{Min: 3}
	k = newKeyed(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Adaptive: a}, Total: 4})
	if held, _ := fillUp(t, k.Get("a")); len(held) != 3 || a.Max != 0 {
		t.Errorf("%d places: Min is 3; and the caller's Adaptive is %+v", len(held), a)
	}
}
