package failover

import (
	"context"
	"sync"
	"time"
)

// background is the work that no call does: probes, and lookups after the first. There is none unless the Config asks
// for it.
type background struct {
	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup
	probes map[*state]*watch
	set    *settings       // that the probes have been told of
	ctx    context.Context // of lookups; nil: there was none yet
	stop   context.CancelFunc
}

// close ends the work in the background. Calls see to what probes did from the start: one that hangs may hold it up.
func (g *core) close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		g.rebuildLocked(g.set(), g.table.Load().all, g.now())
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

// probe starts probes of those targets that have none, and ends those of targets that are gone, or all, if there is no Probe.
// Those that go on are told if the settings are others.
func (b *background) probe(g *core, set *settings, ts []*target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || set.probe == nil && b.probes == nil {
		return
	}
	renewed := set != b.set
	b.set = set
	kept := make(map[*state]*watch, len(ts))
	if set.probe != nil {
		for _, t := range ts {
			w := b.probes[t.state]
			switch {
			case w == nil:
				w = b.begin(g, t.state, set.probeInterval)
			case renewed:
				w.tell()
			}
			kept[t.state] = w
			delete(b.probes, t.state)
		}
	}
	for _, w := range b.probes {
		w.cancel()
	}
	b.probes = kept
}

// begin begins to probe a target: soon, but not all of them at once.
func (b *background) begin(g *core, s *state, interval time.Duration) *watch {
	w := &watch{g: g, state: s, anew: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.pauseFor(0.1)
	b.all.Go(func() { w.run(interval) })
	return w
}

func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	if b.stop != nil {
		b.stop()
	}
	for _, w := range b.probes {
		w.cancel()
	}
	b.mu.Unlock()
	b.all.Wait()
}
