package hedge_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

const ms = time.Millisecond

var errBoom = errors.New("boom")

// fn is what the tests hedge. Its value is the number of the attempt, most of the time.
type fn = func(context.Context) (int, error)

// free is a Config without a bound on the load, and with a fixed delay.
func free(delay time.Duration, hedges int) hedge.Config {
	return hedge.Config{Delay: delay, MaxHedges: hedges, MaxExtraLoad: -1}
}

// act is what one attempt does.
type act struct {
	after time.Duration // how long it takes
	err   error
	deaf  bool // it does not heed its context
}

// play returns an fn whose attempts do what the acts say, the first attempt the first; and the times at which they
// started, as they come to be known.
func play(acts ...act) (fn, *starts) {
	s := &starts{zero: time.Now()}
	return func(ctx context.Context) (int, error) {
		n := hedge.AttemptFrom(ctx)
		s.add()
		a := act{}
		if n <= len(acts) {
			a = acts[n-1]
		}
		if a.deaf {
			time.Sleep(a.after)
			return n, a.err
		}
		select {
		case <-time.After(a.after):
			return n, a.err
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
	}, s
}

// starts is when attempts started.
type starts struct {
	zero time.Time
	mu   sync.Mutex
	at   []time.Duration
}

func (s *starts) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Since(s.zero))
}

func (s *starts) all() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Duration(nil), s.at...)
}

// books keeps account of values: each one that was produced is to be returned or discarded, once.
type books struct {
	mu       sync.Mutex
	produced map[int]bool // whether it was accounted for
	faults   []string
}

func (b *books) produce() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.produced == nil {
		b.produced = map[int]bool{}
	}
	v := len(b.produced) + 1 // 0 is none
	b.produced[v] = false
	return v
}

func (b *books) account(v int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	done, known := b.produced[v]
	switch {
	case !known:
		b.faults = append(b.faults, "a value that nobody produced")
	case done:
		b.faults = append(b.faults, "a value twice")
	}
	b.produced[v] = true
}

// balance checks that all is accounted for.
func (b *books) balance(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	open := 0
	for _, done := range b.produced {
		if !done {
			open++
		}
	}
	if open > 0 || len(b.faults) > 0 {
		t.Errorf("of %d values, %d were neither returned nor discarded; %d faults: %.3v", len(b.produced), open, len(b.faults), b.faults)
	}
}

func fails(context.Context) error { return errBoom }

func goexit() { runtime.Goexit() }

// recovered returns what f panics with.
func recovered(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// ended reports how f ended, in a goroutine of its own: with a panic's value, by runtime.Goexit, or else by returning.
func ended(f func()) (value any, exited bool) {
	done := make(chan struct{})
	exited = true
	go func() {
		defer close(done)
		defer func() {
			if value = recover(); value != nil {
				exited = false
			}
		}()
		f()
		exited = false
	}()
	<-done
	return value, exited
}

// badLogger counts what is logged, and panics each time.
func badLogger(logged *atomic.Int32) *slog.Logger { return slog.New(&badHandler{logged}) }

type badHandler struct{ logged *atomic.Int32 }

func (*badHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *badHandler) Handle(context.Context, slog.Record) error {
	h.logged.Add(1)
	panic("logger")
}

func (h *badHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *badHandler) WithGroup(string) slog.Handler      { return h }

// fewer is full, or less where a full run would take too long: with the race detector, and under -short.
func fewer(full, reduced int) int {
	if raceEnabled || testing.Short() {
		return reduced
	}
	return full
}
