package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/holdfast-go/holdfast/breaker"
)

// Real threads, outside of a bubble: events are told one at a time and in order, and every call is in the books.
func TestStormOnRealThreads(t *testing.T) {
	var telling atomic.Int32
	last := breaker.Closed
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 3, OpenFor: time.Millisecond, OnStateChange: func(e breaker.Event) {
		if telling.Add(1) != 1 {
			t.Error("two are told at once")
		}
		if e.From != last {
			t.Errorf("from %v after %v", e.From, last)
		}
		last = e.To
		runtime.Gosched()
		telling.Add(-1)
	}})
	const goroutines, each = 16, 3000
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				switch (g + i) % 50 {
				case 0:
					b.Force(breaker.ForcedOpen)
				case 1, 2:
					b.Reset()
				case 3:
					b.OpenUntil(time.Now().Add(time.Millisecond))
				}
				call(b, result(i%2))
			}
		})
	}
	wg.Wait()
	s := b.Snapshot()
	if sum := s.Successes + s.Failures + s.Ignored + s.Refused; sum != goroutines*each {
		t.Errorf("%+v: sum %d, want %d calls", s, sum, goroutines*each)
	}
}

// A callback that takes its time does not make the probe that waits for it a slow one.
func TestSlowCallbackIsNoSlowProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{
			ConsecutiveFailures: 1, SlowAfter: time.Second, ProbeTimeout: 2 * time.Second,
			OnStateChange: func(breaker.Event) { time.Sleep(3 * time.Second) },
		})
		call(b, bad)
		time.Sleep(5 * time.Second)
		if err := call(b, ok); err != nil || b.State() != breaker.Closed {
			t.Errorf("error %v, state %v: want closed", err, b.State())
		}
	})
}

// Durations may be as long as there are.
func TestAbsurdDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{})
		b.OpenUntil(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		time.Sleep(time.Hour)
		if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) || !strings.Contains(err.Error(), "retry in ") {
			t.Errorf("open until the year 9999: %v", err)
		}
		b = breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OpenFor: math.MaxInt64, MaxOpenFor: math.MaxInt64})
		call(b, bad)
		time.Sleep(time.Hour)
		if err := call(b, ok); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("open for ever: %v", err)
		}
		b = breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, ProbeTimeout: math.MaxInt64})
		call(b, bad)
		time.Sleep(5 * time.Second)
		probe, _ := b.Allow()
		call(b, ok)
		if probe.Done(nil); b.State() != breaker.Closed {
			t.Errorf("a probe with all the time there is: %v", b.State())
		}
	})
}

// The slots of running calls are numbered from a moment that may be long ago.
func TestSlowCallsAfterMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{SlowAfter: 10 * time.Millisecond}})
		old := k.Get("old")
		for range 3 {
			time.Sleep(40 * 24 * time.Hour)
			for _, b := range []*breaker.Breaker{k.Get("new"), old} {
				var permits []breaker.Permit
				for range 30 {
					p, err := b.Allow()
					if err != nil {
						t.Fatal(err)
					}
					permits = append(permits, p)
				}
				if s := b.Snapshot(); s.WindowSlow != 0 {
					t.Fatalf("%d of 30 calls are slow at once", s.WindowSlow)
				}
				for _, p := range permits {
					p.Done(nil)
				}
			}
		}
	})
}

// Calls that were overdue when their slot was used again are still counted, until they end.
func TestOverdueCallsAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{SlowAfter: time.Second, SlowRatio: 1, MinCalls: 1000})
		hangs, _ := b.Allow()
		for range 20 { // round and round the slots
			time.Sleep(time.Second / 4)
			p, _ := b.Allow()
			p.Done(nil)
		}
		if n := b.Snapshot().WindowSlow; n != 1 {
			t.Errorf("%d slow calls, want the one that hangs", n)
		}
		hangs.Done(nil)
		if n := b.Snapshot().WindowSlow; n != 1 {
			t.Errorf("%d slow calls, want the one that has ended", n)
		}
	})
}

// Failures that are slow count as slow.
func TestSlowFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, SlowAfter: time.Second, MinCalls: 2})
		for range 2 {
			p, _ := b.Allow()
			time.Sleep(time.Second)
			p.Done(errBoom)
		}
		if b.State() != breaker.Open {
			t.Errorf("state %v, want open", b.State())
		}
	})
}

// What was seen before a restart is judged, and not counted again.
func TestRestoreCountsNothing(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 3})
	for i := range 10 {
		call(b, result(i%2))
	}
	s := b.Snapshot()
	s.ConsecutiveFailures = 99
	if err := b.Restore(s); err != nil {
		t.Fatal(err)
	}
	now := b.Snapshot()
	if now.Successes != 5 || now.Failures != 5 || now.WindowCalls != 10 || now.WindowFailures != 5 {
		t.Errorf("got %+v, want the totals as they were, and the window restored", now)
	}
	if now.ConsecutiveFailures != 2 {
		t.Errorf("%d failures in a row: it was closed, so one more is to be needed", now.ConsecutiveFailures)
	}
}

// An opening that OpenUntil makes longer is still the same opening to those who ask why; and after it the cool-down
// begins anew.
func TestOpenUntilKeepsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
		call(b, bad)
		b.OpenUntil(time.Now().Add(time.Minute))
		var refusal *breaker.OpenError
		if err := call(b, ok); !errors.As(err, &refusal) || refusal.Cause != errBoom {
			t.Errorf("cause %v", refusal.Cause)
		}
		time.Sleep(time.Minute)
		probe, _ := b.Allow()
		if err := call(b, ok); !errors.As(err, &refusal) || refusal.State != breaker.HalfOpen || refusal.Cause != errBoom {
			t.Errorf("beside a probe: %+v", refusal)
		}
		probe.Done(nil)
	})
}

// The events behind one whose callback panics are told all the same.
func TestEventsAfterAPanic(t *testing.T) {
	var b *breaker.Breaker
	var told []breaker.State
	b = breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OnStateChange: func(e breaker.Event) {
		if told = append(told, e.To); e.To == breaker.Open {
			b.Force(breaker.Disabled)
			panic("boom")
		}
	}})
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		call(b, bad)
	}()
	if len(told) != 2 || told[1] != breaker.Disabled {
		t.Errorf("told %v, want open and disabled", told)
	}
}

// panicking is a provider whose tracer panics.
type panicking struct{ embedded.TracerProvider }

func (panicking) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{} }

type tracer struct{ embedded.Tracer }

func (tracer) Start(context.Context, string, ...trace.SpanStartOption) (context.Context, trace.Span) {
	panic("tracer")
}

// A tracer that panics costs no probe.
func TestPanickingTracer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{TracerProvider: panicking{}})
		ctx := trace.ContextWithSpan(context.Background(), recording{})
		b.Force(breaker.HalfOpen)
		time.Sleep(time.Millisecond)
		func() {
			defer func() { _ = recover() }()
			breaker.Do(ctx, b, work)
			t.Error("it did not panic")
		}()
		if s := b.Snapshot(); s.Probing != 0 || s.Failures != 1 {
			t.Errorf("%d probes, %d failures: want 0 and 1", s.Probing, s.Failures)
		}
	})
}

type recording struct{ trace.Span }

func (recording) IsRecording() bool { return true }

// Keys that come and go with their breakers open leave nothing behind; nor does a key that is part of something larger.
func TestKeyedKeepsNothing(t *testing.T) {
	k := newKeyed(t, breaker.KeyedConfig{MaxKeys: 100})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	open := func(n int) {
		for i := range n {
			k.Get(fmt.Sprint(i)).OpenUntil(time.Now().Add(time.Hour))
		}
	}
	open(1000)
	before := heap()
	open(50_000)
	rt := breaker.Transport(k, roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	for i := range 100 {
		r, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("http://host%d:8080/?q=%s", i, strings.Repeat("x", 1<<20)), nil)
		rt.RoundTrip(r)
	}
	if after := heap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(k)
}

// Many answers that say the same are one opening.
func TestRetryAfterFromManyIsOneOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: -1}})
		rt := breaker.Transport(k, roundTripper(func(r *http.Request) (*http.Response, error) {
			n := r.Context().Value(position{}).(int)
			time.Sleep(time.Duration(n) * time.Millisecond)
			return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"30"}}, Body: http.NoBody}, nil
		}))
		for i := range 200 {
			go func() {
				r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), position{}, i), http.MethodGet, "http://host/", nil)
				rt.RoundTrip(r)
			}()
		}
		time.Sleep(time.Second)
		if s := k.Get("host").Snapshot(); s.State != breaker.Open || s.Generation != 2 {
			t.Errorf("%v in generation %d, want open in the second", s.State, s.Generation)
		}
	})
}

type position struct{}

// forceHalfOpen is Force(HalfOpen), on the clock of the world: the next call is a probe when that has moved.
func forceHalfOpen(b *breaker.Breaker) {
	b.Force(breaker.HalfOpen)
	for since := b.Snapshot().Since; !time.Now().After(since.Add(time.Microsecond)); {
		runtime.Gosched()
	}
}

// A breaker that was forced to be half-open is open for as long as ever after a probe that failed, although the cool-down before
// that was of an instant, which is over again by then. In a bubble no time would pass.
func TestForcedHalfOpenReopens(t *testing.T) {
	b := breaker.MustNew(breaker.Config{OpenFor: time.Hour, MaxOpenFor: time.Hour})
	forceHalfOpen(b)
	call(b, bad)
	if s := b.Snapshot(); s.State != breaker.Open || s.FailedRecoveries != 1 || s.Failures != 1 {
		t.Errorf("%+v", s)
	}
}
