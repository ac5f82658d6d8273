package contract

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// leavesNothing makes a million calls under one parent that lives on and can be cancelled, which is how a server's
// workers call. What each call would leave with the parent (an entry, a timer, a goroutine) adds up.
func leavesNothing(t *testing.T, c *Cell) {
	if c.Policy.Brief {
		t.Skip("it is brief: the same layers in another order do it")
	}
	calls := 1_000_000
	if testing.Short() || raceEnabled {
		calls /= 10
	}
	if c.Fresh(t, Setup{}).apart() { // each has a goroutine
		calls /= 5
	}
	if c.Policy.Variant { // what it would leave is what its parts would, and they are seen by themselves
		calls /= 10
	}
	for name, limit := range map[string]time.Duration{"no limit": 0, "attempt timeout": time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := c.Fresh(t, Setup{AttemptTimeout: limit})
			parent, cancel := context.WithCancel(t.Context())
			defer cancel()
			call := func(ctx context.Context) (int, error) {
				_ = ctx.Done() // what registers with the parent and arms a timer
				return 7, nil
			}
			makeCalls(t, s, parent, call, calls/100) // what is kept for ever, pools and such, is there after these
			heap, goroutines := heapInUse(), runtime.NumGoroutine()
			makeCalls(t, s, parent, call, calls)
			// The least that one call can leave, a word, would be 8 MB at a million. What a map of the parent's once
			// had room for between two collections stays with it, and is not a matter of calls: hence the megabyte, and
			// the collections on the way.
			most := heap + 1<<20 + uint64(calls)*4
			if !eventually(50, func() bool { return heapInUse() < most && runtime.NumGoroutine() <= goroutines }) {
				t.Errorf("%d calls: the heap grew from %d to %d bytes, goroutines from %d to %d",
					calls, heap, heapInUse(), goroutines, runtime.NumGoroutine())
			}
			s.Settled()
			runtime.KeepAlive(parent)
		})
	}
}

func makeCalls(t *testing.T, s *Subject, ctx context.Context, fn Func, n int) {
	t.Helper()
	for i := range n {
		if i%20_000 == 19_999 { // in a large heap they may be a hundred thousand calls apart
			runtime.GC()
		}
		if v, err := s.Call(ctx, fn); v != 7 || err != nil {
			t.Fatalf("got %d, %v", v, err)
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
