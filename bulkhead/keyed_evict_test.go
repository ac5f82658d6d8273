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
	"weak"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// storm gets keys that never come back, far more than there may be, and lets the runtime take what nobody has.
func storm[K comparable](k *bulkhead.Keyed[K], keys ...K) {
	for _, key := range keys {
		_ = k.Get(key).Run(context.Background(), takes(0))
	}
	runtime.GC()
	runtime.GC()
}

func strangers(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("stranger ", i))
	}
	return keys
}

// TestKeyedComesBack: while anybody has a key's bulkhead, a call that runs or waits or one who has just got it, the key has no
// other, whatever has been evicted since: it would be a second share.
func TestKeyedComesBack(t *testing.T) {
	config := bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 2, Queue: 1}, Total: 20, MaxKeys: 1, IdleAfter: time.Minute}
	evictions := map[string]func(k *bulkhead.Keyed[string]){
		"evicted": func(k *bulkhead.Keyed[string]) { storm(k, strangers(1000)...) },
		"idle":    func(k *bulkhead.Keyed[string]) { time.Sleep(time.Hour); k.Len(); runtime.GC() },
	}
	for name, evict := range evictions {
		t.Run("running, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyed(t, config)
				first, second := hold(t, k.Get("a")), hold(t, k.Get("a"))
				evict(k)
				if s := k.Get("a").Snapshot(); s.InUse != 2 {
					t.Errorf("%d calls run, want 2", s.InUse)
				}
				evict(k)
				if _, err := k.Get("a").TryAcquire(); err == nil || refused(t, err).Reason != bulkhead.ReasonFull {
					t.Errorf("a third call of two: %v", err)
				}
				first.Done(nil)
				evict(k)
				if held, _ := fillUp(t, k.Get("a")); len(held) != 1 {
					t.Errorf("one place of two is free, and there were %d", len(held))
				}
				second.Done(nil)
			})
		})
		t.Run("waiting, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyed(t, config)
				held, _ := fillUp(t, k.Get("a"))
				result := waits(t.Context(), k.Get("a"))
				evict(k)
				if s := k.Get("a").Snapshot(); s.InUse != 2 || s.Queued != 1 {
					t.Errorf("%+v", s)
				}
				done(held)
				evict(k)
				if err := <-result; err != nil {
					t.Error(err)
				}
			})
		})
		t.Run("got, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyed(t, config)
				b := k.Get("a")
				evict(k)
				held, _ := fillUp(t, k.Get("a"))
				if more, _ := fillUp(t, b); len(held)+len(more) != 2 {
					t.Errorf("two bulkheads of one key have %d and %d places", len(held), len(more))
				}
			})
		})
	}
}

// TestKeyedGoes: a bulkhead that nobody has is not kept, and its key begins anew.
func TestKeyedGoes(t *testing.T) {
	k := newKeyed(t, bulkhead.KeyedConfig{Total: 20, MaxKeys: 1})
	var first weak.Pointer[bulkhead.Bulkhead]
	func() {
		b := k.Get("a")
		first = weak.Make(b)
		if err := errors.Join(b.Run(t.Context(), takes(0)), b.Resize(1)); err != nil {
			t.Fatal(err)
		}
	}()
	storm(k, "b")
	if first.Value() != nil {
		t.Fatal("it is kept")
	}
	if s := k.Get("a").Snapshot(); s.Successes != 0 || s.Limit != 5 {
		t.Errorf("%+v", s)
	}
}

// TestKeyedHostile: a stream of keys that never come back keeps memory bounded, while calls of keys that were evicted run.
func TestKeyedHostile(t *testing.T) {
	n := 500_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	k := newKeyed(t, bulkhead.KeyedConfig{Total: 100, MaxKeys: 1000})
	var held []bulkhead.Permit
	for i := range 50 {
		held = append(held, hold(t, k.Get(fmt.Sprint("held ", i))))
	}
	var buf [20]byte
	get := func(i int) {
		p, err := k.Get(string(fmt.Appendf(buf[:0], "key-%d", i))).TryAcquire()
		if err != nil {
			t.Fatal(err)
		}
		p.Done(nil)
	}
	for i := range 20_000 {
		get(i)
	}
	before := heapInUse()
	for i := range n {
		get(i)
	}
	after := heapInUse()
	if k.Len() != 1000 {
		t.Errorf("%d keys, want MaxKeys", k.Len())
	}
	if after > before+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	for i := range held {
		if s := k.Get(fmt.Sprint("held ", i)).Snapshot(); s.InUse != 1 {
			t.Errorf("key %d came back with %d calls, want 1", i, s.InUse)
		}
	}
	done(held)
	if s := k.Total().Snapshot(); s.InUse != 0 || s.Successes != uint64(20_000+n+50) {
		t.Errorf("%+v", s)
	}
}

// TestKeyedNaN: a key that is not equal to itself has a bulkhead for each Get. The total bounds it, and nothing is kept.
func TestKeyedNaN(t *testing.T) {
	k, err := bulkhead.NewKeyed[float64](bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 1}, Total: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		_, err := k.Get(math.NaN()).TryAcquire()
		if i < 3 != (err == nil) {
			t.Errorf("call %d of a total of 3: %v", i, err)
		}
	}
	b := weak.Make(k.Get(math.NaN()))
	storm(k, math.NaN())
	if k.Len() != 0 || b.Value() != nil {
		t.Errorf("%d keys are kept", k.Len())
	}
	if p, err := k.Get(1).TryAcquire(); err == nil || refused(t, err).Reason != bulkhead.ReasonTotal {
		t.Errorf("%v, %v", p, err)
	}
	before := heapInUse()
	for range 100_000 {
		k.Get(math.NaN())
	}
	if after := heapInUse(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(k)
}

// TestKeyedKeepsTheKeyAlone: a key that was cut out of something larger, a line of a request, does not keep that.
func TestKeyedKeepsTheKeyAlone(t *testing.T) {
	k := newKeyed(t, bulkhead.KeyedConfig{Total: 4})
	before := heapInUse()
	for i := range 50 {
		line := fmt.Sprintf("%04d%s", i, strings.Repeat("x", 1<<20))
		k.Get(line[:4])
	}
	if after := heapInUse(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if k.Len() != 50 {
		t.Errorf("%d keys", k.Len())
	}
}

// mirror is a key whose String asks the set for another.
type mirror struct {
	set  *bulkhead.Keyed[mirror]
	name string
}

func (m mirror) String() string {
	if m.name != "other" {
		m.set.Get(mirror{m.set, "other"})
	}
	return m.name
}

// TestKeyedString: the user's code may use the set.
func TestKeyedString(t *testing.T) {
	k := bulkhead.MustNewKeyed[mirror](bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "set"}, Total: 4})
	if s := k.Get(mirror{k, "key"}).Snapshot(); s.Name != "set[key]" || k.Len() != 2 {
		t.Errorf("%q, %d keys", s.Name, k.Len())
	}
	nameless := bulkhead.MustNewKeyed[int](bulkhead.KeyedConfig{Total: 4})
	if s := nameless.Get(7).Snapshot(); s.Name != "7" {
		t.Errorf("%q", s.Name)
	}
}

// TestKeyedStorm: whatever goes on, no key has more than its share and all together no more than the total; and in the end
// every place is back and every call counted. With -race.
func TestKeyedStorm(t *testing.T) {
	const keys, share, total = 12, 2, 6
	goroutines, rounds := 40, 1000
	if raceEnabled || testing.Short() {
		rounds = 200
	}
	k, err := bulkhead.NewKeyed[int](bulkhead.KeyedConfig{
		Config: bulkhead.Config{Limit: share, Queue: 3, MaxWait: time.Millisecond}, Total: total, MaxKeys: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	var running [keys]atomic.Int64
	var together, calls atomic.Int64
	inside := func(key int) {
		if n := running[key].Add(1); n > share {
			t.Errorf("%d calls of key %d", n, key)
		}
		if n := together.Add(1); n > total {
			t.Errorf("%d calls in all", n)
		}
		runtime.Gosched()
		together.Add(-1)
		running[key].Add(-1)
	}
	var all sync.WaitGroup
	for g := range goroutines {
		dice := rand.New(rand.NewPCG(uint64(g), 3))
		all.Go(func() {
			for range rounds {
				key := dice.IntN(keys)
				b := k.Get(key)
				calls.Add(1)
				switch dice.IntN(5) {
				case 0:
					_ = b.Run(context.Background(), func(context.Context) error { inside(key); return nil })
				case 1:
					func() {
						defer func() { _ = recover() }()
						_ = b.Run(context.Background(), func(context.Context) error { inside(key); panic("boom") })
					}()
				case 2:
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(dice.Int64N(300e3)))
					_ = b.Run(ctx, func(context.Context) error { inside(key); return errShutdown })
					cancel()
				case 3:
					k.Get(dice.IntN(keys)) // what was got is not in the set any more, perhaps
					k.Get(dice.IntN(keys))
					k.Get(dice.IntN(keys))
					if p, err := b.TryAcquire(); err == nil {
						inside(key)
						p.Done(nil)
						p.Done(nil)
					}
				case 4:
					if p, err := b.Acquire(bulkhead.WithPriority(context.Background(), bulkhead.Priority(dice.IntN(3)-1))); err == nil {
						inside(key)
						p.Done(context.Canceled)
					}
				}
			}
		})
	}
	over := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() {
		for limit := total; ; limit = total + 2 - limit {
			select {
			case <-over:
				return
			default:
				runtime.GC()
				if err := k.Total().Resize(limit); err != nil { // 6 and 2
					t.Error(err)
				}
				k.Total().Snapshot()
			}
		}
	})
	all.Wait()
	close(over)
	aside.Wait()
	s := k.Total().Snapshot()
	if ended := s.Successes + s.Failures + s.Ignored + s.Refused; s.InUse != 0 || s.Queued != 0 || ended != uint64(calls.Load()) {
		t.Errorf("%d calls, %d have ended: %+v", calls.Load(), ended, s)
	}
	for key := range keys {
		if s := k.Get(key).Snapshot(); s.InUse != 0 || s.Queued != 0 {
			t.Errorf("key %d: %+v", key, s)
		}
	}
}
