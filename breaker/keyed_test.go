package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

func call0(b *breaker.Breaker) error {
	_, err := breaker.Do(context.Background(), b, work)
	return err
}

func newKeyed(t *testing.T, c breaker.KeyedConfig) *breaker.Keyed[string] {
	t.Helper()
	k, err := breaker.NewKeyed[string](c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{Name: "hosts", ConsecutiveFailures: 1}, MaxKeys: 2, IdleAfter: time.Minute})
		a := k.Get("a")
		if k.Get("a") != a || k.Get("b") == a {
			t.Fatal("not one breaker for each key")
		}
		call(a, bad)
		var refusal *breaker.OpenError
		if err := call(k.Get("a"), ok); !errors.As(err, &refusal) || refusal.Name != "hosts[a]" {
			t.Errorf("refusal %v, want it to name the key", err)
		}
		if err := call(k.Get("b"), ok); err != nil {
			t.Errorf("one key's failure closed another's door: %v", err)
		}
		k.Get("a")
		if k.Get("c"); k.Len() != 2 || k.Get("a") != a {
			t.Errorf("%d keys; the least recently used was to go", k.Len())
		}
		time.Sleep(time.Minute + time.Second)
		if n := k.Len(); n != 0 {
			t.Errorf("%d keys are left after IdleAfter", n)
		}
		if k.Get("a") == a {
			t.Error("an idle key came back with its old breaker")
		}
		var none *breaker.Keyed[string]
		if none.Get("a") != nil || none.Len() != 0 || call(none.Get("a"), ok) != nil {
			t.Error("a nil Keyed is to let calls pass")
		}
	})
}

// A stream of keys that never come back keeps memory bounded.
func TestKeyedHostile(t *testing.T) {
	n := 10_000_000
	if testing.Short() || raceEnabled {
		n = 200_000
	}
	k := newKeyed(t, breaker.KeyedConfig{MaxKeys: 1000})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var buf [20]byte
	get := func(i int) { k.Get(string(fmt.Appendf(buf[:0], "key-%d", i))) }
	for i := range 10_000 {
		get(i)
	}
	before := heap()
	for i := range n {
		get(i)
	}
	after := heap()
	if k.Len() != 1000 {
		t.Errorf("%d keys, want MaxKeys", k.Len())
	}
	if after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(k)
}

func TestKeyedConcurrently(t *testing.T) {
	k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 2, OpenFor: time.Millisecond}, MaxKeys: 8})
	var wg sync.WaitGroup
	for g := range 100 {
		wg.Go(func() {
			for i := range 200 {
				call(k.Get(fmt.Sprint((g+i)%20)), result(i%2))
			}
		})
	}
	wg.Wait()
	if n := k.Len(); n > 8 {
		t.Errorf("%d keys, want at most MaxKeys", n)
	}
}
