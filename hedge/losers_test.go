package hedge_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// A thousand goroutines make calls whose attempts succeed, fail, panic, end together or late, with and without a value,
// while some callers go. Whatever was produced is returned or discarded, once.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(free(2*ms, 3))
		var values books
		var callers sync.WaitGroup
		goroutines, each := 1000, fewer(20, 5)
		for g := range goroutines {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(g), 1))
				for range each {
					stormCall(t.Context(), p, &values, random.Uint64())
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		values.balance(t)
		s := p.Snapshot()
		if s.Calls != uint64(goroutines*each) || s.Successes == 0 || s.Failures == 0 || s.Ignored == 0 || s.Wins == 0 {
			t.Errorf("%+v: want %d calls, some of each kind", s, goroutines*each)
		}
	})
}

func stormCall(ctx context.Context, p *hedge.Policy, values *books, seed uint64) {
	defer func() { _ = recover() }()
	random := rand.New(rand.NewPCG(seed, 2))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if wait := time.Duration(random.IntN(8)) * ms; random.IntN(4) == 0 {
		go func() { // time.AfterFunc with no time, in a bubble, crashes the race detector now and then: golang/go#78156
			time.Sleep(wait)
			cancel()
		}()
	}
	v, err := hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
		random := rand.New(rand.NewPCG(seed, uint64(10+hedge.AttemptFrom(ctx))))
		time.Sleep(time.Duration(random.IntN(8)) * ms) // whole milliseconds: many end at the same moment
		switch random.IntN(8) {
		case 0:
			panic("storm")
		case 1, 2:
			return 0, errBoom
		case 3:
			return values.produce(), errBoom
		default:
			return values.produce(), nil
		}
	}, values.account)
	_ = err
	if v != 0 {
		values.account(v)
	}
}
