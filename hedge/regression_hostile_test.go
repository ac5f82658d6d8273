package hedge_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast/hedge"
)

// What a review found: code of the user's in places where one does not expect any.

// spans is a tracer that calls end when a span ends.
type spans struct {
	embedded.TracerProvider
	end func(name string)
}

type spansTracer struct {
	embedded.Tracer
	of *spans
}

type spansSpan struct {
	noop.Span
	of   *spans
	name string
}

func (p *spans) Tracer(string, ...trace.TracerOption) trace.Tracer { return &spansTracer{of: p} }

func (t *spansTracer) Start(ctx context.Context, name string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := &spansSpan{of: t.of, name: name}
	return trace.ContextWithSpan(ctx, s), s
}

func (s *spansSpan) IsRecording() bool          { return true }
func (s *spansSpan) End(...trace.SpanEndOption) { s.of.end(s.name) }

// panicsAt are spans of which those of that name panic when they end.
func panicsAt(name string) *spans {
	return &spans{end: func(n string) {
		if n == name {
			panic("exporter")
		}
	}}
}

// ownContext is a context of the user's own kind.
type ownContext struct {
	done chan struct{}
	errs func()
}

func (c *ownContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *ownContext) Done() <-chan struct{}       { return c.done }
func (c *ownContext) Value(any) any               { return nil }
func (c *ownContext) Err() error                  { c.errs(); return nil }

// A span's End, or a context's Err, that panics while a race is being decided neither holds the caller nor ends the process:
// when they ran under the lock, or in the last deferred function of a goroutine, they did.
func TestHostileEnds(t *testing.T) {
	wait := func(ctx context.Context) { <-ctx.Done() }
	for name, row := range map[string]struct {
		edit func(c *hedge.Config)
		ctx  func() context.Context
		fn   func(ctx context.Context) error
	}{
		"the span of a loser": {
			edit: func(c *hedge.Config) { c.TracerProvider = panicsAt("attempt x") },
			fn: func(ctx context.Context) error {
				if hedge.AttemptFrom(ctx) == 1 {
					wait(ctx)
				}
				return nil
			},
		},
		"the span of one that failed, another under way": {
			edit: func(c *hedge.Config) {
				c.TracerProvider = panicsAt("attempt x")
				c.HedgeIf = func(error) bool { return false }
			},
			fn: func(ctx context.Context) error {
				if hedge.AttemptFrom(ctx) == 1 {
					time.Sleep(20 * ms)
					return errBoom
				}
				wait(ctx)
				return nil
			},
		},
		"the span of one that panicked": {
			edit: func(c *hedge.Config) { c.TracerProvider, c.Delay = panicsAt("attempt x"), time.Hour },
			fn:   func(context.Context) error { panic("of fn") },
		},
		"the context's Err, when the first has failed": {
			edit: func(c *hedge.Config) { c.Delay = time.Hour },
			ctx: func() context.Context {
				var n atomic.Int32
				return &ownContext{make(chan struct{}), func() {
					if n.Add(1) > 2 {
						panic("Err")
					}
				}}
			},
			fn: func(context.Context) error { return errBoom },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := free(ms, 1)
				c.Name = "x"
				row.edit(&c)
				ctx := t.Context()
				if row.ctx != nil {
					ctx = row.ctx()
				}
				p := hedge.MustNew(c)
				over := make(chan any)
				go func() { over <- recovered(func() { _ = p.Run(ctx, row.fn) }) }()
				<-over // a caller who is held is a deadlock here
				time.Sleep(time.Hour)
				synctest.Wait()
				if s := p.Snapshot(); s.Calls > 1 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

type isPanics struct{}

func (isPanics) Error() string { return "isPanics" }
func (isPanics) Is(error) bool { panic("Is") }

type typePanics struct{}

func (typePanics) Error() string     { return "typePanics" }
func (typePanics) ErrorType() string { panic("ErrorType") }

// A value is discarded once, and only if the caller has not got it, also where an error's method or a span panics, or discard
// ends its goroutine.
func TestHostileValues(t *testing.T) {
	never := func(error) bool { return false }
	for name, row := range map[string]struct {
		edit func(c *hedge.Config)
		fn   func(ctx context.Context, produce func() int) (int, error)
		exit bool
	}{
		"Is panics": {
			edit: func(c *hedge.Config) { c.HedgeIf = never },
			fn:   func(_ context.Context, produce func() int) (int, error) { return produce(), isPanics{} },
		},
		"ErrorType panics": {
			edit: func(c *hedge.Config) { c.HedgeIf, c.TracerProvider = never, panicsAt("") },
			fn:   func(_ context.Context, produce func() int) (int, error) { return produce(), typePanics{} },
		},
		"the call's span panics after a success": {
			edit: func(c *hedge.Config) { c.TracerProvider = panicsAt("hedge x") },
			fn:   func(_ context.Context, produce func() int) (int, error) { return produce(), nil },
		},
		"the call's span panics after a failure": {
			edit: func(c *hedge.Config) { c.TracerProvider = panicsAt("hedge x") },
			fn:   func(_ context.Context, produce func() int) (int, error) { return produce(), errBoom },
		},
		"discard ends its goroutine": {
			edit: func(*hedge.Config) {},
			fn: func(ctx context.Context, produce func() int) (int, error) {
				v := produce()
				if hedge.AttemptFrom(ctx) == 1 {
					return v, errBoom
				}
				return v, nil
			},
			exit: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := free(time.Hour, 1)
				c.Name = "x"
				row.edit(&c)
				p := hedge.MustNew(c)
				var values books
				_ = recovered(func() {
					v, _ := hedge.DoDiscard(t.Context(), p, func(ctx context.Context) (int, error) {
						return row.fn(ctx, values.produce)
					}, func(v int) {
						values.account(v)
						if row.exit {
							goexit()
						}
					})
					if v != 0 {
						values.account(v)
					}
				})
				synctest.Wait()
				values.balance(t)
			})
		})
	}
}

type several []error

func (s several) Error() string { return "several" }

// Errors that cannot be compared are not: the call still has an end.
func TestUncomparableErrors(t *testing.T) {
	type wrap struct{ error }
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(ms, func() { cancel(wrap{several{errBoom}}) })
		p := hedge.MustNew(free(time.Hour, 1))
		err := p.Run(ctx, func(ctx context.Context) error {
			if hedge.AttemptFrom(ctx) == 1 {
				return wrap{several{errBoom}}
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if s := p.Snapshot(); err == nil || s.Ignored != 1 {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

// A hedge that could not finish before the deadline is not made, with a fixed delay either.
func TestFixedDelayAndTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Delay: 10 * ms, MaxExtraLoad: -1})
		calls(t, p, 0, 200, constant(9*ms))
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 11*ms)
			f, _ := play(act{after: 9000 * ms}, act{after: 9 * ms})
			_, _ = hedge.Do(ctx, p, f)
			cancel()
		}
		synctest.Wait()
		if s := p.Snapshot(); s.Hedges != 0 || s.Denied["deadline"] == 0 {
			t.Errorf("%d hedges with 1 ms left for a call that takes 9 ms; denied %v", s.Hedges, s.Denied)
		}
	})
}

// Failures that come fast do not make calls slow all together: hedges of slow ones go on as before.
func TestFastFailuresLeaveTheDelay(t *testing.T) {
	delay := func(failing float64) (at time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			p := hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05})
			rng := rand.New(rand.NewPCG(1, 2))
			var mu sync.Mutex
			var all sync.WaitGroup
			for range fewer(10_000, 4_000) {
				all.Go(func() {
					_ = p.Run(t.Context(), func(ctx context.Context) error {
						mu.Lock()
						fails, slow := rng.Float64() < failing, rng.Float64() < 0.03
						mu.Unlock()
						takes := 6 * ms
						switch {
						case fails:
							time.Sleep(ms)
							return errBoom
						case slow:
							takes = 200 * ms
						}
						select {
						case <-time.After(takes):
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					})
				})
				time.Sleep(2 * ms)
			}
			all.Wait()
			at = p.Snapshot().Delay
		})
		return at
	}
	without, with := delay(0), delay(0.05)
	if with > 2*without {
		t.Errorf("the delay is %v; where 5 %% of the calls fail at once, %v", without, with)
	}
}

// That all attempts have failed is logged once, and a single failure is not.
func TestLogsWhenAllFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log records
		c := free(time.Hour, 1)
		c.Logger = slog.New(&log)
		p := hedge.MustNew(c)
		_ = p.Run(t.Context(), func(context.Context) error { return errBoom })
		c.HedgeIf = func(error) bool { return false }
		_ = hedge.MustNew(c).Run(t.Context(), func(context.Context) error { return errBoom })
		if got := log.texts(); len(got) != 1 || !strings.HasPrefix(got[0], "all attempts failed") {
			t.Errorf("logged %q", got)
		}
	})
}
