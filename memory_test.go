package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// heap is what lives.
func heap() int {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// No kind of policy holds more than Describe says, new or after hard use by several cores.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	kinds := map[string]func() holdfast.Runner{
		"retry":    func() holdfast.Runner { return retry.MustNew(retry.Config{MaxAttempts: 1}) },
		"breaker":  func() holdfast.Runner { return breaker.MustNew(breaker.Config{SlowAfter: 1e9}) },
		"bulkhead": func() holdfast.Runner { return bulkhead.MustNew(bulkhead.Config{Limit: 4, Rate: 1e9, Burst: 100}) },
		"adaptive bulkhead": func() holdfast.Runner {
			return bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Max: 1000}})
		},
		"hedge": func() holdfast.Runner { return hedge.MustNew(hedge.Config{}) },
		"failover": func() holdfast.Runner {
			return holdfast.OneOf(failover.MustNew(failover.Config[int]{Targets: targets(10)}))
		},
		"PeakEWMA": func() holdfast.Runner {
			return holdfast.OneOf(failover.MustNew(failover.Config[int]{Balance: failover.PeakEWMA, Targets: targets(50)}))
		},
	}
	for kind, make := range kinds {
		for _, calls := range []int{0, 1000} {
			const n = 50
			before := heap()
			all := [n]holdfast.Runner{}
			for i := range all {
				all[i] = make()
				use(all[i], calls)
			}
			each := (heap() - before) / n
			says := holdfast.MustStack(all[0]).Describe().Memory
			if each > says {
				t.Errorf("a %s after %d calls: %d bytes, and Describe says %d at most", kind, calls, each, says)
			}
			t.Logf("a %s after %d calls: %d bytes of %d", kind, calls, each, says)
			runtime.KeepAlive(&all)
		}
	}
	queued := holdfast.MustStack(bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1000})).Describe().Memory
	if without := holdfast.MustStack(bulkhead.MustNew(bulkhead.Config{Limit: 1})).Describe().Memory; queued <= without {
		t.Errorf("%d bytes with a queue, %d without", queued, without)
	}
	if got := holdfast.MustStack(runner{}).Describe().Memory; got != 0 {
		t.Errorf("%d bytes for what nothing is known of", got)
	}
}

// A full queue holds no more than Describe says, apart from the goroutines that wait in it.
func TestMemoryOfAQueue(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const waiters = 5000
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: waiters, MaxWait: time.Hour})
	s := holdfast.MustStack(b)
	held, err := b.TryAcquire()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gate := make(chan struct{})
	var there atomic.Int32
	var all sync.WaitGroup
	for range waiters {
		all.Go(func() {
			there.Add(1)
			<-gate
			s.Run(ctx, func(context.Context) error { return nil })
		})
	}
	for there.Load() < waiters {
		runtime.Gosched()
	}
	before := heap()
	close(gate)
	for b.Snapshot().Queued < waiters {
		runtime.Gosched()
	}
	each, says := (heap()-before)/waiters, s.Describe().Memory/waiters
	if each > says {
		t.Errorf("%d bytes for each that waits, and Describe says %d", each, says)
	}
	t.Logf("%d bytes of %d", each, says)
	cancel()
	held.Done(nil)
	all.Wait()
}

// use makes good and bad calls from several goroutines.
func use(r holdfast.Runner, calls int) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range calls {
				r.Run(context.Background(), func(context.Context) error {
					if i%3 == 0 {
						return errors.New("down")
					}
					return nil
				})
			}
		})
	}
	all.Wait()
}

func targets(n int) (all []failover.Target[int]) {
	for i := range n {
		all = append(all, failover.Target[int]{Name: fmt.Sprint(i), Value: i})
	}
	return all
}

type runner struct{}

func (runner) Run(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }
