package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// finder asks Resolve for targets.
type finder struct {
	find  func(context.Context) error // nil: there is none
	ready atomic.Bool                 // there are targets
	next  atomic.Int64                // when to look again

	mu      sync.Mutex
	looking chan struct{} // closed when the one who looks is done; nil: nobody does
}

// resolve is one lookup.
func (g *Group[T]) resolve(ctx context.Context, find func(context.Context) ([]Target[T], error)) error {
	ts, err := find(ctx)
	if err != nil {
		return fmt.Errorf("Resolve: %w", err)
	}
	f := conf.Check("failover.Resolve")
	f.Want(len(ts) > 0, "Targets", "none", "at least one target")
	checkTargets(f, "Targets", ts)
	if err := f.Err(); err != nil {
		return err
	}
	g.replace(g.targetsOf(ts))
	return nil
}

// await makes sure that there are targets: the first call looks, others wait for it.
func (g *core) await(ctx context.Context) error {
	f := &g.finder
	for !f.ready.Load() {
		f.mu.Lock()
		if done := f.looking; done != nil {
			f.mu.Unlock()
			select {
			case <-done:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		done := make(chan struct{})
		f.looking = done
		f.mu.Unlock()
		if err := f.first(ctx, g, done); err != nil {
			return err
		}
	}
	return nil
}

// first is the first lookup.
func (f *finder) first(ctx context.Context, g *core, done chan struct{}) error {
	defer func() {
		f.mu.Lock()
		f.looking = nil
		f.mu.Unlock()
		close(done)
	}()
	if f.ready.Load() {
		return nil
	}
	if err := f.find(ctx); err != nil {
		return err
	}
	f.next.Store(int64(g.now() + g.set.resolveEvery))
	f.ready.Store(true)
	return nil
}

// refresh looks again, beside the calls, if it is time to.
func (g *core) refresh(now time.Duration) {
	f := &g.finder
	next := f.next.Load()
	if int64(now) < next || !f.next.CompareAndSwap(next, int64(now+g.set.resolveEvery)) {
		return
	}
	g.background.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, g.set.resolveEvery)
		defer cancel()
		err := errors.New("it panicked")
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("Resolve panicked: %v", r)
			}
			if err != nil && !errors.Is(err, context.Canceled) { // the targets stay what they are
				g.scope.Log(ctx, slog.LevelWarn, "targets not resolved", slog.Any("error", err))
			}
		}()
		err = f.find(ctx)
	})
}
