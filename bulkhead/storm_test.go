package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// tempest is a bulkhead under all that callers do to it, in all its doors.
type tempest struct {
	b    *bulkhead.Bulkhead
	most int64                     // the highest limit it has
	work func(r *rand.Rand, n int) // takes as long as n says, or less

	calls, held atomic.Int64
	outcomes    [5]atomic.Uint64 // as the callers see them
	faults      atomic.Pointer[string]
}

const (
	stormSuccess = iota
	stormFailure
	stormIgnored
	stormRefused
	stormEither // a failure, or ignored: the caller went at about the time when the work failed
)

var errStorm = errors.New("the work failed")

// call makes one call, in one way or another, and notes what became of it.
func (s *tempest) call(r *rand.Rand) {
	s.calls.Add(1)
	ctx := bulkhead.WithPriority(context.Background(), bulkhead.Priority(r.IntN(3)-1))
	cancel := func() {}
	switch r.IntN(4) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(1+r.IntN(20))*time.Millisecond)
	case 1:
		ctx, cancel = context.WithCancel(ctx)
		defer time.AfterFunc(time.Duration(r.IntN(10_000))*time.Microsecond, cancel).Stop()
	}
	defer cancel()
	switch r.IntN(8) {
	case 0, 1:
		s.permit(r)(s.b.Acquire(ctx))
	case 2:
		s.permit(r)(s.b.TryAcquire())
	case 3:
		s.goexit(ctx, r)
	case 4:
		s.panics(ctx, r)
	default:
		s.do(ctx, r)
	}
}

// inside counts who is inside.
func (s *tempest) inside(r *rand.Rand) {
	if now := s.held.Add(1); now > s.most {
		s.fault("more have a place than there are")
	}
	defer s.held.Add(-1)
	s.work(r, 5)
}

func (s *tempest) fault(what string) { s.faults.CompareAndSwap(nil, &what) }

func (s *tempest) count(outcome int) { s.outcomes[outcome].Add(1) }

// refused counts one that had no place.
func (s *tempest) refused(err error) {
	var full *bulkhead.FullError
	if errors.As(err, &full) && full.Cause == nil {
		s.count(stormRefused)
	} else {
		s.count(stormIgnored)
	}
}

// permit is a call with a permit that is given back by two at once, one of which has a copy, and again much later.
func (s *tempest) permit(r *rand.Rand) func(bulkhead.Permit, error) {
	return func(p bulkhead.Permit, err error) {
		if err != nil {
			s.refused(err)
			return
		}
		s.inside(r)
		result, outcome := error(nil), stormSuccess
		switch r.IntN(4) {
		case 0:
			result, outcome = errStorm, stormFailure
		case 1:
			result, outcome = context.Canceled, stormIgnored
		}
		s.count(outcome)
		again := p
		var both sync.WaitGroup
		both.Go(func() { again.Done(result) })
		p.Done(result)
		both.Wait()
		s.work(r, 3)
		p.Done(errStorm) // somebody else may have the slot by now
	}
}

func (s *tempest) do(ctx context.Context, r *rand.Rand) {
	fails := r.IntN(4) == 0
	ran := false
	err := s.b.Run(ctx, func(ctx context.Context) error {
		ran = true
		s.inside(r)
		if fails {
			return errStorm
		}
		return nil
	})
	switch {
	case !ran:
		s.refused(err)
	case !fails && err == nil:
		s.count(stormSuccess)
	case err != errStorm:
		s.fault("the work's own error is not what came back")
	case errors.Is(ctx.Err(), context.Canceled):
		s.count(stormEither)
	default:
		s.count(stormFailure)
	}
}

func (s *tempest) panics(ctx context.Context, r *rand.Rand) {
	ran := false
	defer func() {
		if ran {
			s.count(stormFailure)
		}
		if v := recover(); ran != (v == "storm") {
			s.fault("the panic is not what came back")
		}
	}()
	_, err := bulkhead.Do(ctx, s.b, func(context.Context) (int, error) {
		ran = true
		s.inside(r)
		panic("storm")
	})
	s.refused(err)
}

func (s *tempest) goexit(ctx context.Context, r *rand.Rand) {
	var alone sync.WaitGroup
	ran := false
	alone.Go(func() {
		err := s.b.Run(ctx, func(context.Context) error {
			ran = true
			s.inside(r)
			runtime.Goexit()
			return nil
		})
		s.refused(err)
	})
	if alone.Wait(); ran {
		s.count(stormFailure)
	}
}

// settle checks what is left when all is over: nothing. All calls are in the books, and every place is there.
func (s *tempest) settle(t *testing.T, limit int, rated bool) {
	t.Helper()
	if fault := s.faults.Load(); fault != nil {
		t.Error(*fault)
	}
	if err := s.b.Resize(limit); err != nil {
		t.Fatal(err)
	}
	got := s.b.Snapshot()
	var sum uint64
	for _, n := range got.RefusedBy {
		sum += n
	}
	for i, n := range []uint64{got.Successes, got.Failures, got.Ignored, got.Refused} {
		least := s.outcomes[i].Load()
		most := least
		if i == stormFailure || i == stormIgnored {
			most += s.outcomes[stormEither].Load()
		}
		if n < least || n > most {
			t.Errorf("%d of kind %d, but the callers saw %d to %d: %+v", n, i, least, most, got)
		}
	}
	all := got.Successes + got.Failures + got.Ignored + got.Refused
	if got.InUse != 0 || got.Queued != 0 || sum != got.Refused || all != uint64(s.calls.Load()) {
		t.Errorf("after %d calls: %+v", s.calls.Load(), got)
	}
	if min(got.Successes, got.Failures, got.Ignored, got.Refused, got.Waited) < uint64(s.calls.Load()/1000) {
		t.Errorf("the storm was a calm: %+v", got)
	}
	if !rated {
		giveBack(takeAll(t, s.b, limit))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range limit {
		if p, err := s.b.Acquire(ctx); err != nil {
			t.Error(err)
		} else {
			defer p.Done(nil)
		}
	}
	if _, err := s.b.TryAcquire(); what(err) != "full" {
		t.Errorf("one more than %d: %q", limit, what(err))
	}
}

// TestStorm is a thousand goroutines in a bubble, where time passes as it should.
func TestStorm(t *testing.T) {
	each := 20
	if raceEnabled {
		each = 8
	}
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			s := &tempest{
				b: bulkhead.MustNew(bulkhead.Config{
					Name: "storm", Limit: 50, Queue: 100 + 100*int(seed), MaxWait: 30 * time.Millisecond,
					Interval: 20 * time.Millisecond, Target: 5 * time.Millisecond,
				}),
				most: 150,
				work: func(r *rand.Rand, n int) { time.Sleep(time.Duration(r.IntN(n*1000)) * time.Microsecond) },
			}
			var all sync.WaitGroup
			for g := range uint64(1000) {
				r := rand.New(rand.NewPCG(seed, g))
				all.Go(func() {
					for range each {
						time.Sleep(time.Duration(r.IntN(100_000)) * time.Microsecond)
						s.call(r)
					}
				})
			}
			r := rand.New(rand.NewPCG(seed, 1e6))
			for range 100 {
				time.Sleep(5 * time.Millisecond)
				if err := s.b.Resize([]int{1, 10, 50, 150}[r.IntN(4)]); err != nil {
					t.Error(err)
				}
			}
			all.Wait()
			s.settle(t, 50, false)
		})
	}
}

// TestStormOnRealThreads is the same on the scheduler as it is, where nothing happens at the same moment twice.
func TestStormOnRealThreads(t *testing.T) {
	each := 20
	if raceEnabled {
		each = 8
	}
	for _, c := range []bulkhead.Config{
		{Limit: 3, Queue: 1000, MaxWait: 5 * time.Millisecond},
		{Limit: 50, Queue: 20, Interval: 10 * time.Microsecond, Target: 10 * time.Microsecond},
		{Limit: 200, Queue: 600, Interval: -1},
		{Limit: 100, Queue: 800, Rate: 50_000, Burst: 50},
	} {
		before := runtime.NumGoroutine()
		s := &tempest{b: bulkhead.MustNew(c), most: int64(c.Limit), work: func(r *rand.Rand, n int) {
			for range r.IntN(n) {
				runtime.Gosched()
			}
		}}
		var calm atomic.Bool
		var resizing sync.WaitGroup
		resizing.Go(func() {
			for i := 0; !calm.Load(); i++ {
				if err := s.b.Resize(max(c.Limit-i%c.Limit, 1)); err != nil {
					t.Error(err)
				}
				_ = s.b.Snapshot()
				runtime.Gosched()
			}
		})
		atOnce(1000, func(g int) {
			r := rand.New(rand.NewPCG(3, uint64(g)))
			for range each {
				s.call(r)
			}
		})
		calm.Store(true)
		resizing.Wait()
		s.settle(t, c.Limit, c.Rate > 0)
		await(func() bool { return runtime.NumGoroutine() <= before }) // those of timers that fire now come and go
	}
}
