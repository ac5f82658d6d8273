package holdfast_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// loser is a policy that calls back with a response in hand.
type loser struct {
	name   string
	status int64
	policy func(at *url.URL, hook func()) holdfast.Runner
}

// losers have each policy, and each kind of callback of theirs that comes when fn has returned.
var losers = []loser{
	{"breaker, OnStateChange after a failure", 503, func(_ *url.URL, hook func()) holdfast.Runner {
		return breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OnStateChange: func(breaker.Event) { hook() }})
	}},
	{"breaker, OnStateChange after a success", 200, func(_ *url.URL, hook func()) holdfast.Runner {
		return breaker.MustNew(breaker.Config{SlowAfter: time.Microsecond, MinCalls: 1, OnStateChange: func(breaker.Event) { hook() }})
	}},
	{"breaker, Classify", 503, func(_ *url.URL, hook func()) holdfast.Runner {
		return breaker.MustNew(breaker.Config{Classify: func(error) breaker.Outcome { hook(); return breaker.Failure }})
	}},
	{"breaker, span", 200, func(_ *url.URL, hook func()) holdfast.Runner {
		return breaker.MustNew(breaker.Config{TracerProvider: &hooked{hook: hook}})
	}},
	{"bulkhead, Overloaded", 503, func(_ *url.URL, hook func()) holdfast.Runner {
		return bulkhead.MustNew(bulkhead.Config{ReleaseAtHeader: true, Adaptive: &bulkhead.Adaptive{
			Max: 9, Overloaded: func(error) bool { hook(); return true },
		}})
	}},
	{"bulkhead, span", 200, func(_ *url.URL, hook func()) holdfast.Runner {
		return bulkhead.MustNew(bulkhead.Config{Limit: 9, ReleaseAtHeader: true, TracerProvider: &hooked{hook: hook}})
	}},
	{"retry, RetryIf", 503, func(_ *url.URL, hook func()) holdfast.Runner {
		return retry.MustNew(retry.Config{RetryIf: func(error) bool { hook(); return false }})
	}},
	{"retry, span", 200, func(_ *url.URL, hook func()) holdfast.Runner {
		return retry.MustNew(retry.Config{TracerProvider: &hooked{hook: hook}})
	}},
	{"hedge, Budget", 200, func(_ *url.URL, hook func()) holdfast.Runner {
		return hedge.MustNew(hedge.Config{Delay: time.Hour, Budget: hookedBudget(hook)})
	}},
	{"hedge, span", 200, func(_ *url.URL, hook func()) holdfast.Runner {
		return hedge.MustNew(hedge.Config{Delay: time.Hour, TracerProvider: &hooked{hook: hook}})
	}},
	{"failover, FailoverIf", 503, func(at *url.URL, hook func()) holdfast.Runner {
		return groupAt(failover.Config[*url.URL]{FailoverIf: func(error) bool { hook(); return false }}, at)
	}},
	{"failover, Budget", 200, func(at *url.URL, hook func()) holdfast.Runner {
		return groupAt(failover.Config[*url.URL]{Budget: hookedBudget(hook)}, at)
	}},
	{"failover, span", 200, func(at *url.URL, hook func()) holdfast.Runner {
		return groupAt(failover.Config[*url.URL]{TracerProvider: &hooked{hook: hook}}, at)
	}},
}

func groupAt(c failover.Config[*url.URL], at *url.URL) holdfast.Runner {
	c.Targets = []failover.Target[*url.URL]{{Name: "a", Value: at}}
	return holdfast.OneOf(failover.MustNew(c))
}

// hooked is a provider whose spans call a hook when they end.
type hooked struct {
	embedded.TracerProvider
	hook func()
}

func (h *hooked) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return &hookedTracer{hook: h.hook}
}

type hookedTracer struct {
	embedded.Tracer
	hook func()
}

func (t *hookedTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := &hookedSpan{hook: t.hook}
	return trace.ContextWithSpan(ctx, s), s
}

type hookedSpan struct {
	noop.Span
	hook func()
}

func (s *hookedSpan) IsRecording() bool { return true }

func (s *hookedSpan) End(...trace.SpanEndOption) {
	if s.hook != nil {
		s.hook()
	}
}

// hookedBudget is a budget that calls back when it is told of a success.
type hookedBudget func()

func (b hookedBudget) Withdraw() bool { return true }
func (b hookedBudget) Deposit()       { b() }

// endless is a server whose responses end when their body is closed.
type endless struct {
	*httptest.Server
	at       *url.URL
	status   atomic.Int64
	discards atomic.Int64
	ended    atomic.Pointer[chan struct{}] // of the call under way: gets one for each response
}

func newEndless(t *testing.T, http2 bool) *endless {
	s := &endless{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ended := *s.ended.Load()
		w.WriteHeader(int(s.status.Load()))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections) // else Close waits for what a test that fails has left open
	s.at, _ = url.Parse(s.URL)
	return s
}

// Whoever panics with a response in hand, or ends the goroutine, leaves no body open: in a Transport, and where there is a
// discard; by itself and under other policies, in whose hands the response has never been.
func TestPanicLeavesNoBodyOpen(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		s := newEndless(t, http2)
		for _, l := range losers {
			for _, around := range []string{"alone", "under others"} {
				for way, end := range map[string]func(){"panic": func() { panic("hook") }, "Goexit": runtime.Goexit} {
					for name, door := range map[string]func(context.Context, *holdfast.Stack) error{"Transport": s.transport, "DoDiscard": s.doDiscard} {
						t.Run(fmt.Sprintf("http2=%v/%s/%s/%s/%s", http2, l.name, around, way, name), func(t *testing.T) {
							l.lose(t, s, around != "alone", end, door)
						})
					}
				}
			}
		}
	}
}

// lose makes one call, in which the hook ends the goroutine.
func (l *loser) lose(t *testing.T, s *endless, under bool, end func(), door func(context.Context, *holdfast.Stack) error) {
	var hooks atomic.Int64
	ended := make(chan struct{}, 9)
	s.ended.Store(&ended)
	s.status.Store(l.status)
	s.discards.Store(0)
	policies := []holdfast.Runner{l.policy(s.at, func() {
		if hooks.Add(1) == 1 {
			end()
		}
	})}
	if under {
		policies = append([]holdfast.Runner{
			breaker.MustNew(breaker.Config{}), hedge.MustNew(hedge.Config{Delay: time.Hour}), bulkhead.MustNew(bulkhead.Config{Limit: 9}),
		}, policies...)
	}
	returned, over := false, make(chan error, 1)
	go func() {
		var err error
		defer func() {
			_ = recover()
			over <- err
		}()
		err = door(trace.ContextWithSpan(t.Context(), &hookedSpan{}), holdfast.MustStack(policies...))
		returned = true
	}()
	if err := <-over; returned || hooks.Load() == 0 {
		t.Fatalf("the call returned, with %v, and there were %d hooks: this tests nothing", err, hooks.Load())
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the body is open")
	}
	if n := s.discards.Load(); n > 1 {
		t.Errorf("discarded %d times", n)
	}
}

// transport sends a request through the stack.
func (s *endless) transport(ctx context.Context, stack *holdfast.Stack) error {
	_, err := stack.Transport(s.Client().Transport).RoundTrip(s.request(ctx))
	return err
}

// doDiscard sends one in a function, whose value is the response. Nobody cancels it.
func (s *endless) doDiscard(ctx context.Context, stack *holdfast.Stack) error {
	_, err := holdfast.DoDiscard(ctx, stack, func(ctx context.Context) (*http.Response, error) {
		resp, err := s.Client().Transport.RoundTrip(s.request(context.WithoutCancel(ctx)))
		if err == nil && resp.StatusCode >= 500 {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return resp, err
	}, func(resp *http.Response) {
		s.discards.Add(1)
		resp.Body.Close()
	})
	return err
}

func (s *endless) request(ctx context.Context) *http.Request {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	return req
}
