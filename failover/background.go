package failover

import (
	"context"
	"sync"
)

// background is the work that no call does: probes, and lookups after the first. There is none unless the Config asks
// for it.
type background struct {
	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup
	cancel map[*state]context.CancelFunc // of probes
	ctx    context.Context               // of lookups; nil: there was none yet
	stop   context.CancelFunc
}

// close ends the work in the background. Calls see to what probes did from the start: one that hangs may hold it up.
func (g *core) close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		g.rebuildLocked(g.table.Load().all, g.now())
	}
	g.mu.Unlock()
	g.background.close()
}

// do starts a goroutine, and reports false if it did not, as the group is closed.
func (b *background) do(work func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if b.ctx == nil {
		b.ctx, b.stop = context.WithCancel(context.Background())
	}
	ctx := b.ctx
	b.all.Go(func() { work(ctx) })
	return true
}

// probe starts probes of those targets that have none, and ends those of targets that are gone.
func (b *background) probe(g *core, ts []*target) {
	if g.set.probe == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	kept := make(map[*state]context.CancelFunc, len(ts))
	for _, t := range ts {
		if cancel := b.cancel[t.state]; cancel != nil {
			kept[t.state] = cancel
			delete(b.cancel, t.state)
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		kept[t.state] = cancel
		b.all.Go(func() { g.watch(ctx, t.state, jittered(g.set.probeInterval/10)) }) // soon, but not all of them at once
	}
	for _, cancel := range b.cancel {
		cancel()
	}
	b.cancel = kept
}

func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	if b.stop != nil {
		b.stop()
	}
	for _, cancel := range b.cancel {
		cancel()
	}
	b.mu.Unlock()
	b.all.Wait()
}
