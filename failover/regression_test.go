package failover_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast/failover"
)

// A Pick whose OnChange or Resolve panicked, or ended the goroutine, was in no book.
func TestPickWithABadCallback(t *testing.T) {
	for name, bad := range map[string]func(){"panic": func() { panic("callback") }, "Goexit": runtime.Goexit} {
		for where, config := range map[string]func(bad func()) failover.Config[int]{
			"OnChange": func(bad func()) failover.Config[int] {
				return failover.Config[int]{
					Targets: []failover.Target[int]{{Name: "a"}, {Name: "b"}}, ConsecutiveFailures: 1,
					OnChange: func(e failover.Event) {
						if e.To == failover.Probing {
							bad()
						}
					},
				}
			},
			"Resolve": func(bad func()) failover.Config[int] {
				return failover.Config[int]{Resolve: func(context.Context) ([]failover.Target[int], error) {
					bad()
					return []failover.Target[int]{{Name: "a"}}, nil
				}}
			},
		} {
			t.Run(where+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					once := bad
					g := failover.MustNew(config(func() { f := once; once = func() {}; f() }))
					calls := uint64(1)
					if where == "OnChange" {
						l, err := g.Pick(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						l.Done(errDown)
						calls++
						time.Sleep(time.Minute)
					}
					over := make(chan struct{})
					go func() {
						defer close(over)
						defer func() { _ = recover() }()
						_, _ = g.Pick(t.Context())
						t.Error("it returned")
					}()
					<-over
					if s := g.Snapshot(); s.Calls != calls || s.Failures != calls {
						t.Errorf("%d calls, %d failures, want %d: %+v", s.Calls, s.Failures, calls, s)
					}
					l, err := g.Pick(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					l.Done(nil)
				})
			})
		}
	}
}

// A target whose ejection was over, and which refused the call that was to find out about it, had the next call too, and so each.
func TestRefusedTrials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ejectFor = time.Second
		c := failover.Config[int]{Targets: targets(2), ConsecutiveFailures: 1, EjectFor: ejectFor, GoodProbes: 1}
		g := failover.MustNew(c)
		at := make(map[int]int)
		err := errDown
		ask := func() {
			got, failed := failover.Do(t.Context(), g, func(_ context.Context, target int) (int, error) {
				if at[target]++; target == 0 {
					return 0, err
				}
				return target, nil
			})
			if failed != nil || err != nil && got != 1 {
				t.Fatal(got, failed)
			}
		}
		ask()
		time.Sleep(ejectFor)
		err = turnedAway{}
		at = make(map[int]int)
		for range 1000 { // ten ejections
			ask()
			time.Sleep(ejectFor / 100)
		}
		if at[0] < 90 || at[0] > 110 || at[1] != 1000 {
			t.Errorf("calls at each target: %v", at)
		}
		err = nil
		time.Sleep(ejectFor / 10)
		ask()
		if got := stateOf(g, c.Targets[0].Name); got != failover.Healthy {
			t.Errorf("it refuses no more, and is %v", got)
		}
	})
}

// Where no other target is healthy, there is nothing that a call could do instead.
func TestRefusedTrialsOfTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(1), ConsecutiveFailures: 1, EjectFor: time.Second, PanicBelow: -1})
		ask := func(err error) error { return g.Run(t.Context(), func(context.Context, int) error { return err }) }
		_ = ask(errDown)
		time.Sleep(time.Second)
		for range 3 {
			if err := ask(turnedAway{}); !errors.Is(err, turnedAway{}) {
				t.Error(err)
			}
		}
		if err := ask(nil); err != nil {
			t.Error(err)
		}
	})
}

// A call whose span panicked at the end of a success was in the books twice: as a success, and as a failure.
func TestSpanPanicsOnASuccess(t *testing.T) {
	g := failover.MustNew(failover.Config[int]{Targets: targets(1), TracerProvider: provider{}})
	if got := recovered(func() { _ = g.Run(t.Context(), func(context.Context, int) error { return nil }) }); got != "span" {
		t.Errorf("recovered %v", got)
	}
	if s := g.Snapshot(); s.Calls != 1 || s.Failures != 1 || s.Targets[0].InFlight != 0 {
		t.Errorf("want one call, one failure: %+v", s)
	}
}

// provider has spans of calls that panic when they end.
type provider struct{ embedded.TracerProvider }

func (provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{} }

type tracer struct{ embedded.Tracer }

func (tracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, span{}
}

type span struct{ noop.Span }

func (span) End(...trace.SpanEndOption) { panic("span") }
