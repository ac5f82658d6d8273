package contract

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// thousand goroutines mix all that can happen. The bubble sees to it that none of them is left, the race detector that
// they may; the books must have each call once, and in the right column.
func thousand(t *testing.T, c *Cell) {
	goroutines, each := 1000, len(kinds)
	if c.Policy.Brief {
		goroutines /= 5
	}
	if c.Policy.Goroutines > 0 {
		goroutines = c.Policy.Goroutines
	}
	s := c.Fresh(t, Setup{Busy: true, Wait: time.Millisecond, AttemptTimeout: 20 * time.Millisecond})
	var seen tally
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				time.Sleep(time.Duration(g%7) * time.Millisecond)
				seen.call(s, (g+i)%len(kinds))
			}
		})
	}
	all.Wait()
	if s.apart() {
		time.Sleep(time.Second) // for what nobody waits for
	}
	s.Settled()
	if got := s.calls.Load(); got != uint64(goroutines*each) {
		t.Fatalf("the suite made %d calls", got)
	}
	b := s.Layers[0].Books()
	b.Late = 0
	if want := seen.books(); len(s.Layers) == 1 && b != want {
		t.Errorf("the books have %+v; the callers have seen %+v", b, want)
	}
	if s.queueing() >= 0 { // no place is lost: all of them can be had at once
		s.Fill()()
		s.Settled()
	}
	time.Sleep(s.Recovery)
	s.Passes()
}

// kinds are what calls come to. Each gets a context of its own and what ends it.
var kinds = [...]func(context.Context, context.CancelFunc) (int, error){
	func(context.Context, context.CancelFunc) (int, error) { return 7, nil },
	func(context.Context, context.CancelFunc) (int, error) { return 5, errFn },
	func(ctx context.Context, cancel context.CancelFunc) (int, error) { cancel(); return 0, ctx.Err() },
	func(ctx context.Context, _ context.CancelFunc) (int, error) { // one that is slower than its limit, if it has one
		select {
		case <-ctx.Done():
		case <-time.After(25 * time.Millisecond):
		}
		return 0, ctx.Err()
	},
	func(context.Context, context.CancelFunc) (int, error) { panic("of fn") },
	func(context.Context, context.CancelFunc) (int, error) { runtime.Goexit(); return 0, nil },
	func(context.Context, context.CancelFunc) (int, error) {
		time.Sleep(3 * time.Millisecond)
		return 7, nil
	},
	func(ctx context.Context, _ context.CancelFunc) (int, error) { // the last: its context ends soon after the call began
		time.Sleep(time.Millisecond)
		return 0, ctx.Err()
	},
}

// tally is what the callers see of their calls.
type tally struct{ successes, failures, ignored, refused atomic.Uint64 }

func (y *tally) books() Books {
	return Books{
		Successes: y.successes.Load(), Failures: y.failures.Load(),
		Ignored: y.ignored.Load(), Refused: y.refused.Load(),
	}
}

// call makes one call, in a goroutine of its own, for it may end that.
func (y *tally) call(s *Subject, kind int) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() { _ = recover() }()
		counted := &y.failures // a panic, or the end of the goroutine
		defer func() { counted.Add(1) }()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if kind == len(kinds)-1 { // wherever it is by then
			defer time.AfterFunc(700*time.Microsecond, cancel).Stop()
		}
		_, err := s.Call(ctx, func(in context.Context) (int, error) { return kinds[kind](in, cancel) })
		refusal, ok := err.(interface{ Refused() bool })
		switch {
		case err == nil:
			counted = &y.successes
		case ok && refusal.Refused() && !errors.Is(err, context.Canceled):
			counted = &y.refused
		case ctx.Err() != nil:
			counted = &y.ignored
		}
	}()
	<-over
}
