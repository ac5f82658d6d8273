package failover_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// probed is targets that are probed: what the probe of each does, and when it did.
type probed struct {
	mu   sync.Mutex
	do   map[int]func(context.Context) error
	when map[int][]time.Time
}

func (p *probed) set(i int, do func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.do == nil {
		p.do = map[int]func(context.Context) error{}
	}
	p.do[i] = do
}

func (p *probed) probe(ctx context.Context, i int) error {
	p.mu.Lock()
	if p.when == nil {
		p.when = map[int][]time.Time{}
	}
	p.when[i] = append(p.when[i], time.Now())
	do := p.do[i]
	p.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx)
}

func (p *probed) times(i int) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.when[i]...)
}

func isDown(context.Context) error { return errDown }

func isUp(context.Context) error { return nil }

// Two bad probes in a row eject, as many targets as have them, without a call; and not one and another.
func TestProbesEject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		var odd atomic.Int32
		for i := range 3 {
			p.set(i, isDown)
		}
		p.set(3, func(context.Context) error {
			if odd.Add(1)%2 == 1 {
				return errDown
			}
			return nil
		})
		g := failover.MustNew(failover.Config[int]{Targets: targets(4), Probe: p.probe, ProbeInterval: time.Second, MaxEjected: 0.1})
		defer g.Close()
		time.Sleep(900 * time.Millisecond)
		for i, s := range g.Snapshot().Targets {
			if s.State != failover.Healthy {
				t.Errorf("target %d is %v after one bad probe", i, s.State)
			}
		}
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		for i, s := range g.Snapshot().Targets {
			if want := i < 3; (s.State == failover.Ejected) != want {
				t.Errorf("target %d is %v", i, s.State)
			}
		}
		time.Sleep(time.Minute)
		if s := g.Snapshot().Targets[3]; s.State != failover.Healthy {
			t.Errorf("every other probe is bad: %+v", s)
		}
	})
}

// Good probes bring a target back, and not before the hold is over; while it stays down, that does not grow.
func TestProbesBringBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		var heard changes
		p.set(0, isDown)
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Probe: p.probe, ProbeInterval: 200 * time.Millisecond, OnChange: heard.hear})
		defer g.Close()
		lost := func() failover.Event {
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				if flaps := heard.flaps("t0"); len(flaps) > 0 && time.Since(flaps[len(flaps)-1].At) < 20*time.Millisecond {
					return flaps[len(flaps)-1]
				}
			}
			t.Fatal("not ejected")
			panic("")
		}
		first := lost()
		p.set(0, isUp)
		time.Sleep(time.Until(first.Until) - time.Millisecond)
		if s := stateOf(g, "t0"); s != failover.Ejected || !first.Until.Equal(first.At.Add(5*time.Second)) {
			t.Errorf("%v before the hold is over, %v", s, first)
		}
		time.Sleep(2 * time.Millisecond)
		if s := stateOf(g, "t0"); s != failover.Healthy {
			t.Errorf("%v after a hold full of good probes", s)
		}

		p.set(0, isDown) // at once again: the hold doubles
		second := lost()
		if !second.Until.Equal(second.At.Add(10 * time.Second)) {
			t.Errorf("the second hold: %v", second.Until.Sub(second.At))
		}
		time.Sleep(10 * time.Minute)
		if s := targetOf(g, "t0"); s.Ejections != 2 || s.State == failover.Healthy {
			t.Errorf("after ten minutes down: %+v", s)
		}
		if n := len(heard.flaps("t0")); n != 2 {
			t.Errorf("%d flaps", n)
		}
		p.set(0, isUp)
		time.Sleep(11 * time.Second)
		if s := stateOf(g, "t0"); s != failover.Healthy {
			t.Errorf("%v long after it is up", s)
		}
	})
}

// A probe that hangs until its time is over is a bad one.
func TestProbeTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		p.set(0, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Probe: p.probe, ProbeInterval: time.Second, ProbeTimeout: 100 * time.Millisecond})
		defer g.Close()
		time.Sleep(1500 * time.Millisecond)
		if s := targetOf(g, "t0"); s.State != failover.Ejected || s.LastError != "timeout" {
			t.Errorf("%+v", s)
		}
	})
}

// A probe that does not heed its context is a bad one, each interval until it comes back; that it says nothing then is all
// one.
func TestProbeIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		let := make(chan struct{})
		p.set(0, func(context.Context) error {
			<-let
			return nil
		})
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(2), Probe: p.probe, ProbeInterval: time.Second, ProbeTimeout: 100 * time.Millisecond, BadProbes: 3, GoodProbes: 1,
		})
		time.Sleep(2 * time.Second)
		if s := stateOf(g, "t0"); s != failover.Healthy {
			t.Errorf("%v after two", s)
		}
		time.Sleep(time.Second)
		if s := stateOf(g, "t0"); s != failover.Ejected {
			t.Errorf("%v after three", s)
		}
		time.Sleep(time.Minute)
		if s, n := stateOf(g, "t0"), len(p.times(0)); s == failover.Healthy || n != 1 {
			t.Errorf("%v, %d probes at once", s, n)
		}
		for stateOf(g, "t0") != failover.Probing { // when one good probe would do
			time.Sleep(10 * time.Millisecond)
		}
		close(let)
		synctest.Wait()
		if s := stateOf(g, "t0"); s != failover.Probing {
			t.Error("what came a minute late brought it back")
		}
		time.Sleep(10 * time.Second)
		if s := stateOf(g, "t0"); s != failover.Healthy {
			t.Errorf("%v when its probes are good", s)
		}
		g.Close()
	})
}

// A probe that panics, or ends its goroutine, is a bad one. So is OnChange's panic nobody's end.
func TestProbePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		var log strings.Builder
		p.set(0, func(context.Context) error { panic("probe of t0") })
		p.set(1, func(context.Context) error { runtime.Goexit(); return nil })
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(3), Probe: p.probe, ProbeInterval: time.Second, ProbeTimeout: 100 * time.Millisecond,
			OnChange: func(e failover.Event) { panic("OnChange of " + e.Target) },
			Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		})
		time.Sleep(3 * time.Second)
		for i, s := range g.Snapshot().Targets {
			if (s.State == failover.Ejected) != (i < 2) {
				t.Errorf("%+v", s)
			}
		}
		p.set(0, isUp)
		p.set(1, isUp)
		time.Sleep(10 * time.Second)
		for _, s := range g.Snapshot().Targets {
			if s.State != failover.Healthy {
				t.Errorf("%+v", s)
			}
		}
		g.Close()
		for _, want := range []string{"probe of t0", "OnChange of t0", "OnChange of t1"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("not logged: %s\n%s", want, log.String())
			}
		}
	})
}

// Probes come every interval, a tenth more or less, and those of two targets not in step.
func TestProbeJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		began := time.Now()
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Probe: p.probe})
		time.Sleep(10 * time.Minute)
		g.Close()
		short, long := time.Hour, time.Duration(0)
		for i := range 2 {
			times := p.times(i)
			if first := times[0].Sub(began); first > 600*time.Millisecond {
				t.Errorf("the first probe after %v", first)
			}
			for j := range times[1:] {
				gap := times[j+1].Sub(times[j])
				short, long = min(short, gap), max(long, gap)
			}
		}
		if short < 4500*time.Millisecond || short > 4700*time.Millisecond || long > 5500*time.Millisecond || long < 5300*time.Millisecond {
			t.Errorf("from %v to %v, want 4.5 s to 5.5 s", short, long)
		}
		if a, b := p.times(0), p.times(1); a[50].Equal(b[50]) {
			t.Error("they are in step")
		}
	})
}

// Close ends all that runs, also in the midst of it, and may be called again. The bubble would not end if anything were left.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		for i := range 50 {
			p.set(i, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(10 * time.Millisecond) // it has to clear up
				return ctx.Err()
			})
		}
		g := failover.MustNew(failover.Config[int]{Targets: targets(100), Probe: p.probe, ProbeInterval: time.Second, BadProbes: 1})
		time.Sleep(500 * time.Millisecond)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		probes := len(p.times(0)) + len(p.times(99))
		for _, s := range g.Snapshot().Targets {
			if s.State != failover.Healthy {
				t.Errorf("a probe that Close ended was a bad one: %+v", s)
			}
		}
		if err := g.Update(targets(101)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if n := len(p.times(0)) + len(p.times(99)) + len(p.times(100)); n != probes || probes != 2 {
			t.Errorf("%d probes, and %d after Close", probes, n)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
}

// After Close calls find out what probes would have.
func TestCallsAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		p.set(0, isDown)
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), Probe: p.probe, ProbeInterval: time.Second})
		time.Sleep(2 * time.Second)
		if s := stateOf(g, "t0"); s != failover.Ejected {
			t.Fatal(s)
		}
		g.Close()
		time.Sleep(10 * time.Second)
		for i := range 3 {
			if v, err := failover.Do(t.Context(), g, func(_ context.Context, i int) (int, error) { return i, nil }); v != 0 || err != nil {
				t.Errorf("call %d went to %d, %v: want a trial", i, v, err)
			}
		}
		if s := stateOf(g, "t0"); s != failover.Healthy {
			t.Error(s)
		}
	})
}

// Update starts probes of what is new, ends those of what is gone, and has the others go on, of the new value.
func TestUpdateProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probed
		g := failover.MustNew(failover.Config[int]{Targets: targets(3), Probe: p.probe, ProbeInterval: time.Second})
		defer g.Close()
		p.set(1, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(150 * time.Millisecond) // the first probes are made, and one hangs
		err := g.Update([]failover.Target[int]{{Name: "t0", Value: 10}, {Name: "t2", Value: 2}, {Name: "new", Value: 3}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for i, want := range map[int][2]int{0: {1, 1}, 1: {1, 1}, 2: {9, 12}, 3: {9, 12}, 10: {8, 11}} {
			if n := len(p.times(i)); n < want[0] || n > want[1] {
				t.Errorf("value %d has been probed %d times, want %d to %d", i, n, want[0], want[1])
			}
		}
	})
}
