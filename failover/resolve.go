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

// finder asks a Resolve for targets.
type finder struct {
	find  func(context.Context) error
	every time.Duration
	next  atomic.Int64 // when to look again

	refreshing atomic.Bool // a lookup is under way beside the calls

	mu    sync.Mutex
	first *lookup            // the first one, while it is under way; nil: nobody looks
	stop  context.CancelFunc // ends the lookup beside the calls; nil: there was none
	over  bool               // other settings have come, with another finder or none
}

// lookup is one that calls wait for.
type lookup struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // why it found none, if that would be so for every call; set before done is closed
}

// newFinder is for a Resolve that has not been asked yet.
func newFinder[T any](g *Group[T], resolve func(context.Context) ([]Target[T], error), every time.Duration) *finder {
	f := &finder{every: every}
	f.find = func(ctx context.Context) error { return g.resolve(ctx, f, resolve) }
	return f
}

// errOutdated: other settings have come while a Resolve was asked. What it has found is no longer wanted.
var errOutdated = errors.New("the settings have changed")

// resolve is one lookup.
func (g *Group[T]) resolve(ctx context.Context, f *finder, find func(context.Context) ([]Target[T], error)) error {
	ts, err := find(ctx)
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	faults := conf.Check("failover.Resolve")
	faults.Want(len(ts) > 0, "Targets", 0, "at least one target")
	checkTargets(faults, "Targets", ts)
	if err := faults.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	set := g.set()
	if set.finder != f {
		return errOutdated
	}
	g.replaceLocked(set, g.targetsOf(ts))
	return nil
}

// await makes sure that there are targets: the first call looks, others wait for it, and share its error. Where that may be
// only the first one's own, as it was cancelled or panicked, or if there is another Resolve by then, the next looks.
func (g *core) await(ctx context.Context) error {
	for !g.ready.Load() {
		f := g.set().finder
		if f == nil {
			return nil // targets have come with the settings
		}
		if err := f.await(ctx, g); err != nil && (ctx.Err() != nil || g.set().finder == f) {
			return err
		}
	}
	return nil
}

// await looks, or waits for who does.
func (f *finder) await(ctx context.Context, g *core) error {
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return errOutdated
	}
	l := f.first
	if l == nil {
		limited, cancel := context.WithCancel(ctx)
		defer cancel()
		l = &lookup{cancel: cancel, done: make(chan struct{})}
		f.first = l
		f.mu.Unlock()
		return f.look(limited, g, l)
	}
	f.mu.Unlock()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look is the first lookup.
func (f *finder) look(ctx context.Context, g *core, l *lookup) error {
	var shared error
	defer func() { f.done(l, shared) }()
	if g.ready.Load() {
		return nil
	}
	if err := f.find(ctx); err != nil {
		if ctx.Err() == nil {
			shared = err
		}
		return err
	}
	f.next.Store(int64(g.now() + f.every))
	g.ready.Store(true)
	return nil
}

// done ends a first lookup, for those who wait for it, unless it was given up.
func (f *finder) done(l *lookup, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == l {
		f.first, l.err = nil, err
		close(l.done)
	}
}

// giveUp is for a finder that others have come in the place of: nobody waits for its lookups any more.
func (f *finder) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if l := f.first; l != nil {
		f.first = nil
		close(l.done)
		l.cancel()
	}
	if f.stop != nil {
		f.stop()
	}
}

// limited is the context of a lookup beside the calls.
func (f *finder) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, f.every)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop = cancel; f.over {
		cancel()
	}
	return ctx, cancel
}

// refresh looks again, beside the calls, if it is time to.
func (g *core) refresh(f *finder, now time.Duration) {
	next := f.next.Load()
	if int64(now) < next || !f.next.CompareAndSwap(next, int64(now+f.every)) {
		return
	}
	if !f.refreshing.CompareAndSwap(false, true) { // the last one does not heed its context
		return
	}
	began := g.background.do(func(ctx context.Context) {
		defer f.refreshing.Store(false)
		ctx, cancel := f.limited(ctx)
		defer cancel()
		err := errors.New("it panicked")
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("resolve panicked: %v", r)
			}
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errOutdated) { // the targets stay what they are
				g.logAside(ctx, slog.LevelWarn, "targets not resolved", slog.Any("error", err))
			}
		}()
		if err = ctx.Err(); err == nil {
			err = f.find(ctx)
		}
	})
	if !began {
		f.refreshing.Store(false)
	}
}
