package bulkhead_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// takeAll takes all the places that there should be: n, and not one more.
func takeAll(t *testing.T, b *bulkhead.Bulkhead, n int) []bulkhead.Permit {
	t.Helper()
	all := make([]bulkhead.Permit, n)
	for i := range all {
		var err error
		if all[i], err = b.TryAcquire(); err != nil {
			t.Fatalf("place %d of %d: %v", i+1, n, err)
		}
	}
	for range 3 {
		if _, err := b.TryAcquire(); what(err) != "full" {
			t.Fatalf("one more than %d: %q, want full", n, what(err))
		}
	}
	if s := b.Snapshot(); s.InUse != n || s.Limit != n {
		t.Fatalf("%d of %d in use, want %d", s.InUse, s.Limit, n)
	}
	return all
}

func giveBack(all []bulkhead.Permit) {
	for _, p := range all {
		p.Done(nil)
	}
}

// limits are those at which the slots differ: at 4 and its doubles there are more of them, from 16 on there is something
// between full and open, from 64 on they are not spread any further, and beyond 32 one look does not see them all.
var limits = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 100, 1000, 1024, 1025}

func TestTheWholeLimitAndNotOneMore(t *testing.T) {
	for _, n := range limits {
		b := bulkhead.MustNew(bulkhead.Config{Limit: n})
		for round := range 5 {
			all := takeAll(t, b, n)
			giveBack(all[n/2:])
			giveBack(takeHalf(t, b, n-n/2)) // while the others are held
			giveBack(all[:n/2])
			if s := b.Snapshot(); s.InUse != 0 || s.Successes != uint64((round+1)*(n+n-n/2)) {
				t.Fatalf("limit %d: %+v", n, s)
			}
		}
	}
}

// takeHalf takes what is left.
func takeHalf(t *testing.T, b *bulkhead.Bulkhead, n int) []bulkhead.Permit {
	t.Helper()
	rest := make([]bulkhead.Permit, n)
	for i := range rest {
		var err error
		if rest[i], err = b.TryAcquire(); err != nil {
			t.Fatalf("place %d of the %d that are left: %v", i+1, n, err)
		}
	}
	if _, err := b.TryAcquire(); what(err) != "full" {
		t.Fatalf("one more than %d: %q, want full", n, what(err))
	}
	return rest
}

// atOnce runs f in n goroutines, on more threads than there are cores: so they are interrupted anywhere.
func atOnce(n int, f func(i int)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// TestNeverRefusedWhileThereIsRoom: N goroutines that each hold at most one of N places at a time are never refused,
// however they meet. Of places that goroutines look for at random, or that pass through a hand that is not quick enough, one
// would be missing now and then.
func TestNeverRefusedWhileThereIsRoom(t *testing.T) {
	calls := 300_000
	if raceEnabled {
		calls /= 10
	}
	for _, n := range []int{1, 2, 3, 4, 8, 9, 16, 64, 100, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: n})
			var held atomic.Int64
			atOnce(n, func(g int) {
				for i := range max(calls/n, 20) {
					p, err := acquireSomehow(b, g+i)
					if err != nil {
						t.Errorf("with at most %d of %d held: %v", n-1, n, err)
						return
					}
					if now := held.Add(1); now > int64(n) {
						t.Errorf("%d held, of %d", now, n)
					}
					if (g+i)%3 == 0 {
						runtime.Gosched()
					}
					held.Add(-1)
					p.Done(nil)
				}
			})
			giveBack(takeAll(t, b, n))
		})
	}
}

func acquireSomehow(b *bulkhead.Bulkhead, i int) (bulkhead.Permit, error) {
	if i%2 == 0 {
		return b.TryAcquire()
	}
	return b.Acquire(context.Background())
}

// TestNeverRefusedNested: the same with calls within calls, each of which has its place.
func TestNeverRefusedNested(t *testing.T) {
	calls := 10_000
	if raceEnabled {
		calls /= 5
	}
	for _, c := range []struct{ goroutines, depth int }{{2, 2}, {3, 5}, {8, 3}, {33, 4}, {100, 10}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: c.goroutines * c.depth})
			atOnce(c.goroutines, func(int) {
				for range max(calls/c.goroutines/c.depth, 10) {
					if err := nest(b, c.depth); err != nil {
						t.Error(err)
						return
					}
				}
			})
			giveBack(takeAll(t, b, c.goroutines*c.depth))
		})
	}
}

func nest(b *bulkhead.Bulkhead, depth int) error {
	if depth == 0 {
		runtime.Gosched()
		return nil
	}
	return b.Run(context.Background(), func(context.Context) error { return nest(b, depth-1) })
}

// TestNeverRefusedWhileResized: a limit that goes up and down, and is never below what goroutines hold.
func TestNeverRefusedWhileResized(t *testing.T) {
	const n = 20
	calls := 20_000
	if raceEnabled {
		calls /= 5
	}
	b := bulkhead.MustNew(bulkhead.Config{Limit: n})
	atOnce(n+1, func(g int) {
		for i := range calls / n {
			if g == n {
				if err := b.Resize(n + i%50); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
				continue
			}
			p, err := acquireSomehow(b, g+i)
			if err != nil {
				t.Error(err)
				return
			}
			runtime.Gosched()
			p.Done(nil)
		}
	})
	if err := b.Resize(n); err != nil {
		t.Error(err)
	}
	giveBack(takeAll(t, b, n))
}

// TestNeverMoreThanTheLimit: more goroutines than places, of which some wait, while the limit changes.
func TestNeverMoreThanTheLimit(t *testing.T) {
	calls := 60_000
	if raceEnabled {
		calls /= 6
	}
	for _, n := range []int{1, 2, 9, 20, 100} {
		for _, queue := range []int{0, 3 * n} {
			t.Run(fmt.Sprintf("%d and %d", n, queue), func(t *testing.T) {
				b := bulkhead.MustNew(bulkhead.Config{Limit: n, Queue: queue, Interval: -1})
				var held, had atomic.Int64
				atOnce(3*n, func(g int) {
					for i := range max(calls/10/n, 20) {
						p, err := acquireSomehow(b, g+i)
						if err != nil {
							runtime.Gosched()
							continue
						}
						if now := held.Add(1); now > int64(n) {
							t.Errorf("%d held, of %d", now, n)
						}
						had.Add(1)
						runtime.Gosched()
						held.Add(-1)
						p.Done(nil)
					}
				})
				if s := b.Snapshot(); s.Successes != uint64(had.Load()) || s.Queued != 0 || s.InUse != 0 {
					t.Errorf("%+v: want %d successes", s, had.Load())
				}
				giveBack(takeAll(t, b, n))
			})
		}
	}
}

// TestWaitingThroughAllModes is one goroutine's walk through them: open, then few, full, with one who waits, and back.
func TestWaitingThroughAllModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 32
		b := bulkhead.MustNew(bulkhead.Config{Limit: n, Queue: 2})
		for range 3 {
			all := takeAll(t, b, n)
			got := make(chan bulkhead.Permit, 2)
			for range 2 {
				go func() {
					p, err := b.Acquire(t.Context())
					if err != nil {
						t.Error(err)
					}
					got <- p
				}()
			}
			synctest.Wait()
			if _, err := b.TryAcquire(); what(err) != "full" {
				t.Errorf("TryAcquire while others wait: %q", what(err))
			}
			giveBack(all[:1])
			giveBack(all[1:2])
			all = append(all[2:], <-got, <-got)
			if s := b.Snapshot(); s.InUse != n || s.Queued != 0 {
				t.Errorf("%+v: want all in use", s)
			}
			for i := range all { // one free, two, … n
				giveBack(all[i : i+1])
				giveBack(takeHalf(t, b, i+1))
			}
		}
	})
}
