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

	refreshing atomic.Bool // a lookup is under way beside the calls

	mu    sync.Mutex
	first *lookup // the first one, while it is under way; nil: nobody looks
}

// lookup is one that calls wait for.
type lookup struct {
	done chan struct{}
	err  error // why it found none, if that would be so for every call; set before done is closed
}

// resolve is one lookup.
func (g *Group[T]) resolve(ctx context.Context, find func(context.Context) ([]Target[T], error)) error {
	ts, err := find(ctx)
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	f := conf.Check("failover.Resolve")
	f.Want(len(ts) > 0, "Targets", 0, "at least one target")
	checkTargets(f, "Targets", ts)
	if err := f.Err(); err != nil {
		return err
	}
	g.replace(g.targetsOf(ts))
	return nil
}

// await makes sure that there are targets: the first call looks, others wait for it, and share its error. Where that may be
// only the first one's own, as it was cancelled or panicked, the next looks.
func (g *core) await(ctx context.Context) error {
	f := &g.finder
	for !f.ready.Load() {
		f.mu.Lock()
		l := f.first
		if l == nil {
			l = &lookup{done: make(chan struct{})}
			f.first = l
			f.mu.Unlock()
			return f.look(ctx, g, l)
		}
		f.mu.Unlock()
		select {
		case <-l.done:
			if l.err != nil {
				return l.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// look is the first lookup.
func (f *finder) look(ctx context.Context, g *core, l *lookup) error {
	defer func() {
		f.mu.Lock()
		f.first = nil
		f.mu.Unlock()
		close(l.done)
	}()
	if f.ready.Load() {
		return nil
	}
	if err := f.find(ctx); err != nil {
		if ctx.Err() == nil {
			l.err = err
		}
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
	if !f.refreshing.CompareAndSwap(false, true) { // the last one does not heed its context
		return
	}
	began := g.background.do(func(ctx context.Context) {
		defer f.refreshing.Store(false)
		ctx, cancel := context.WithTimeout(ctx, g.set.resolveEvery)
		defer cancel()
		err := errors.New("it panicked")
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("resolve panicked: %v", r)
			}
			if err != nil && !errors.Is(err, context.Canceled) { // the targets stay what they are
				g.logAside(ctx, slog.LevelWarn, "targets not resolved", slog.Any("error", err))
			}
		}()
		err = f.find(ctx)
	})
	if !began {
		f.refreshing.Store(false)
	}
}
