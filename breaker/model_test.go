package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// model is a breaker as one would write it without a care for speed: a list of results, looked through each time.
type model struct {
	config  breaker.Config
	start   time.Time
	state   breaker.State
	results []modelResult // since the breaker was last closed
	row     int           // failures in a row
	until   time.Time
	good    int // probes in a row
}

type modelResult struct {
	tick   int64
	failed bool
}

func (m *model) tick() int64 { return int64(time.Since(m.start) / (m.config.Window / 10)) }

// refuses says whether the next call is refused, and moves on to half-open when it is time.
func (m *model) refuses() bool {
	if m.state == breaker.Open && !time.Now().Before(m.until) {
		m.state, m.good = breaker.HalfOpen, 0
	}
	return m.state == breaker.Open || m.state == breaker.ForcedOpen
}

// result takes what a call that passed has returned. trip is set if the breaker has to open.
func (m *model) result(r result) (trip bool) {
	switch {
	case r == cancelled || m.state == breaker.Disabled:
		return false
	case m.state == breaker.HalfOpen && r == bad:
		return true
	case m.state == breaker.HalfOpen:
		if m.good++; m.good == max(m.config.Probes, 1) {
			m.close()
		}
		return false
	}
	m.results = append(m.results, modelResult{m.tick(), r == bad})
	if r != bad {
		m.row = 0
		return false
	}
	m.row++
	calls, failures := m.window()
	return m.row >= m.config.ConsecutiveFailures ||
		calls >= m.config.MinCalls && float64(failures) >= m.config.FailureRatio*float64(calls)
}

func (m *model) window() (calls, failures int) {
	for _, r := range m.results {
		if r.tick > m.tick()-10 {
			calls++
			if r.failed {
				failures++
			}
		}
	}
	return calls, failures
}

func (m *model) close() { m.state, m.results, m.row = breaker.Closed, nil, 0 }

// checkModel runs the operations coded in ops on both, and compares after each.
func checkModel(ops []byte) error {
	config := breaker.Config{
		Name: "model", ConsecutiveFailures: 4, FailureRatio: 0.4, MinCalls: 6, Probes: 2,
		Window: time.Second, OpenFor: time.Second, MaxOpenFor: 5 * time.Second,
	}
	b := breaker.MustNew(config)
	m := &model{config: config, start: time.Now(), state: breaker.Closed}
	for i := 0; i+1 < len(ops); i += 2 {
		op, arg := ops[i]%16, ops[i+1]
		switch {
		case op < 4:
			time.Sleep(time.Duration(arg) * 10 * time.Millisecond)
		case op == 4:
			b.Reset()
			m.close()
		case op == 5 && arg < 40:
			b.Force(breaker.ForcedOpen)
			m.state = breaker.ForcedOpen
		case op == 5 && arg < 80:
			b.Force(breaker.Disabled)
			m.state = breaker.Disabled
		case op == 6:
			t := time.Now().Add(time.Duration(arg) * 10 * time.Millisecond)
			b.OpenUntil(t)
			if arg > 0 && m.state != breaker.ForcedOpen && m.state != breaker.Disabled &&
				(m.state != breaker.Open || t.After(m.until)) {
				m.state, m.until = breaker.Open, t
			}
		default:
			if err := compareCall(b, m, []result{ok, bad, bad, ok, cancelled}[arg%5]); err != nil {
				return fmt.Errorf("operation %d: %w", i/2, err)
			}
		}
		if err := compareState(b, m); err != nil {
			return fmt.Errorf("after operation %d (%d, %d): %w", i/2, op, arg, err)
		}
	}
	return nil
}

func compareCall(b *breaker.Breaker, m *model, do result) error {
	refuses := m.refuses()
	err := call(b, do)
	if refused := errors.Is(err, breaker.ErrOpen); refused != refuses {
		return fmt.Errorf("refused %v, want %v (model %v)", refused, refuses, m.state)
	}
	if !refuses && m.result(do) {
		// The jitter is the breaker's own: the model takes its word for how long, within the bounds.
		s := b.Snapshot()
		if d := s.Until.Sub(s.At); d < 800*time.Millisecond || d > 5*time.Second {
			return fmt.Errorf("opened for %v, want 1 s to 5 s less a fifth", d)
		}
		m.state, m.until = breaker.Open, s.Until
	}
	return nil
}

func compareState(b *breaker.Breaker, m *model) error {
	want := m.state
	if want == breaker.Open && !time.Now().Before(m.until) {
		want = breaker.HalfOpen
	}
	s := b.Snapshot()
	if s.State != want || b.State() != want {
		return fmt.Errorf("state %v, want %v", s.State, want)
	}
	if want != breaker.Closed {
		return nil
	}
	calls, failures := m.window()
	if s.WindowCalls != uint64(calls) || s.WindowFailures != uint64(failures) || s.ConsecutiveFailures != uint32(m.row) {
		return fmt.Errorf("window %d calls, %d failures, %d in a row; want %d, %d, %d",
			s.WindowCalls, s.WindowFailures, s.ConsecutiveFailures, calls, failures, m.row)
	}
	return nil
}

func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 800)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(ops); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		})
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{10, 1, 10, 1, 10, 1, 10, 1, 0, 100, 10, 0})
	f.Add([]byte{6, 10, 0, 20, 10, 4, 4, 0, 5, 0, 5, 50})
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(ops); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// A thousand goroutines succeed, fail, panic and cancel while the breaker opens, closes and is forced about. Nothing is
// lost: each call is a success, a failure, ignored or refused; and the breaker works when they are done.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		last := breaker.Closed
		b := breaker.MustNew(breaker.Config{
			MinCalls: 10, OpenFor: 10 * time.Millisecond, Probes: 3, SlowAfter: 50 * time.Millisecond, ProbeTimeout: 30 * time.Millisecond,
			OnStateChange: func(e breaker.Event) { // one at a time, in order: this needs no lock
				if e.From != last {
					t.Errorf("event from %v, but the last one was to %v", e.From, last)
				}
				last = e.To
				events++
			},
		})
		const goroutines, each = 1000, 50
		for g := range goroutines {
			go func() {
				random := rand.New(rand.NewPCG(uint64(g), 2))
				for range each {
					stormCall(b, random)
				}
			}()
		}
		for i := range 50 {
			time.Sleep(20 * time.Millisecond)
			b.Force([]breaker.State{breaker.ForcedOpen, breaker.Disabled, breaker.Shadow, breaker.Closed}[i%4])
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		s := b.Snapshot()
		if sum := s.Successes + s.Failures + s.Ignored + s.Refused; sum != goroutines*each {
			t.Errorf("%+v: sum %d, want %d calls", s, sum, goroutines*each)
		}
		if s.Refused == 0 || s.Failures == 0 || s.Late == 0 || events < 10 {
			t.Errorf("%+v, %d events: the storm was a calm", s, events)
		}
		b.Reset()
		if err := call(b, ok); err != nil {
			t.Errorf("after the storm: %v", err)
		}
	})
}

func stormCall(b *breaker.Breaker, random *rand.Rand) {
	defer func() { _ = recover() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	breaker.Do(ctx, b, func(context.Context) (int, error) {
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		switch random.IntN(6) {
		case 0:
			return 0, errBoom
		case 1:
			cancel()
			return 0, context.Canceled
		case 2:
			panic("boom")
		default:
			return 1, nil
		}
	})
	time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
}
