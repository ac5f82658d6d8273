package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// watch probes a target until its ctx ends.
type watch struct {
	g      *core
	state  *state
	ctx    context.Context
	cancel context.CancelFunc
	anew   chan struct{} // the settings are others; has room for one

	from  time.Duration // when the pause before the next probe began
	share float64       // of the interval, how long it is: up to a tenth more or less, so that many clients do not probe in step
}

// tell tells it that the settings are others.
func (w *watch) tell() {
	select {
	case w.anew <- struct{}{}:
	default: // it is yet to hear of those before
	}
}

// pauseFor begins a pause for that share of the interval, or so.
func (w *watch) pauseFor(share float64) { w.from, w.share = w.g.now(), share*(0.9+0.2*rand.Float64()) }

// left is what is left of the pause, where that is the interval.
func (w *watch) left(interval time.Duration) time.Duration {
	return max(w.from+time.Duration(float64(interval)*w.share)-w.g.now(), 0)
}

// run probes, at that interval to begin with. OnChange may end the goroutine: another goes on then.
func (w *watch) run(interval time.Duration) {
	over := false
	defer func() {
		if !over {
			w.pauseFor(1)
			w.g.background.all.Go(func() { w.run(w.g.set().probeInterval) })
		}
	}()
	pause := time.NewTimer(w.left(interval))
	defer pause.Stop()
	for {
		select {
		case <-w.ctx.Done():
			over = true
			return
		case <-w.anew: // a pause that has begun is as long as one that begins now
		case <-pause.C:
			t := w.g.table.Load()
			if x := t.find(w.state); x != nil && t.set.probe != nil {
				w.probeOnce(t.set, x)
			}
			w.pauseFor(1)
		}
		pause.Reset(w.left(w.g.set().probeInterval))
	}
}

// jittered is d, or up to a tenth more or less, so that many clients do not probe in step.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

func (t *table) find(s *state) *target {
	for _, x := range t.all {
		if x.state == s {
			return x
		}
	}
	return nil
}

var (
	errProbeHangs = errors.New("the probe has not come back, long after its timeout")
	errProbeEnds  = errors.New("the probe ended its goroutine")
)

// probeOnce probes a target, and takes note of what that came to. A probe that does not heed its context counts as a bad one
// when it is clear that it does not, and as another one each interval after that, until it comes back at last: its own
// result says nothing by then. Nor is it waited for any longer when there are other settings: there may be a better Probe. One
// that says too late that all is well is a bad one too.
func (w *watch) probeOnce(set *settings, t *target) {
	g := w.g
	limited, cancel := context.WithTimeout(w.ctx, set.probeTimeout)
	defer cancel()
	result := make(chan error, 1)
	g.background.all.Go(func() { // a watch is one of them all, so nobody has stopped waiting
		err := errProbeEnds
		defer func() { result <- err }()
		if err = g.safely(limited, set, t); err == nil {
			err = limited.Err()
		}
	})
	hangs := time.NewTimer(2 * set.probeTimeout)
	defer hangs.Stop()
	for late, anew := false, false; !late || !anew; {
		select {
		case <-w.ctx.Done():
			return
		case err := <-result:
			if !late && w.ctx.Err() == nil {
				g.probed(t, err)
			}
			return
		case <-w.anew:
			anew = true
		case <-hangs.C:
			late = true
			g.probed(t, errProbeHangs)
			hangs.Reset(jittered(set.probeInterval))
		}
	}
}

// safely runs the probe. It has no caller whom a panic could reach: that is a bad probe, and is logged.
func (g *core) safely(ctx context.Context, set *settings, t *target) (err error) {
	defer g.logPanic(ctx, "probe", t, &err)
	return set.probe(ctx, t)
}

// logPanic ends a panic, which becomes an error, and is logged. It is deferred.
func (g *core) logPanic(ctx context.Context, of string, t *target, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s panicked: %v", of, r)
		g.logAside(ctx, slog.LevelError, of+" panicked", slog.String("target", t.name), slog.Any("panic", r))
	}
}

// probed takes note of a probe. A panic of OnChange has no caller to reach either.
func (g *core) probed(t *target, err error) {
	defer g.logPanic(context.Background(), "OnChange", t, new(error))
	if err != nil {
		t.failedWith(telemetry.ErrorType(err))
	}
	g.changed(g.now(), func(now time.Duration) (differs bool) {
		was := t.is()
		switch {
		case t.gone:
		case err == nil:
			g.goodLocked(t, now)
		default:
			g.badLocked(t, now)
		}
		return t.is() != was
	})
	if now := g.now(); int64(now) >= g.due.Load() { // there may be no calls that see to it
		g.tend(now)
	}
}

func (g *core) goodLocked(t *target, now time.Duration) {
	t.bads = 0
	if t.is() == Healthy {
		return
	}
	t.goods++
	switch {
	case g.noneIsWell(): // better than any other
		g.backLocked(t, "a probe is good, and no other target is healthy", now)
		t.rampFrom.Store(0)
	case t.goods >= g.set().goodProbes && now >= t.until:
		g.backLocked(t, "probes are good", now)
	}
}

func (g *core) badLocked(t *target, now time.Duration) {
	t.goods = 0
	switch t.is() {
	case Healthy:
		if t.bads++; t.bads >= g.set().badProbes {
			g.ejectLocked(t, fmt.Sprintf("%d bad probes in a row", t.bads), now)
		}
	case Probing: // it is as long again, but no longer: it has not been back
		t.until = now + g.set().hold(t.ejections)
		g.changeLocked(t, Ejected, "a probe is bad", now)
	}
}
