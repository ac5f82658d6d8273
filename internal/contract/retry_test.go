package contract_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

func TestRetry(t *testing.T) { contract.Run(t, retryPolicy()) }

func retryPolicy() contract.Policy {
	return contract.Policy{
		Name: "retry",
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return retryInstance(newRetry(t, s, nil))
		},
		Nil:       func() []contract.Door { return retryDoors(nil) },
		Callbacks: retryCallbacks(func(t testing.TB, p *retry.Policy) *contract.Instance { return retryInstance(p) }),
		Unmet:     retry.ErrDeadline,
		Differs: map[contract.Row]contract.Difference{
			contract.Late: {
				Why:     "a retry has no state that moves on, and its attempts follow one another: no result is late",
				Instead: neverLate,
			},
			contract.DoneTwice:   {Why: "a retry has no primitive, and gives out no permits", Instead: noPrimitive},
			contract.NeverDone:   {Why: "a retry has no primitive, and gives out no permits", Instead: noPrimitive},
			contract.EndsQueued:  {Why: "a retry waits after a failure, and for nothing before", Instead: noQueue},
			contract.UnmetQueued: {Why: "a retry waits after a failure, and for nothing before", Instead: noQueue},
		},
	}
}

// newRetry makes a policy to a setup. edit, if not nil, has the last word.
func newRetry(t testing.TB, s contract.Setup, edit func(*retry.Config)) *retry.Policy {
	t.Helper()
	c := retry.Config{Name: "orders", MaxAttempts: s.Attempts, BaseDelay: -1, AttemptTimeout: s.AttemptTimeout}
	if s.Wait > 0 {
		c.Backoff = retry.Constant(s.Wait)
	}
	bc := retry.BudgetConfig{Capacity: 100, Floor: -1}
	if s.Poor {
		bc = retry.BudgetConfig{Capacity: 1}
	}
	budget, err := retry.NewBudget(bc)
	if err != nil {
		t.Fatal(err)
	}
	if s.Poor {
		budget.Withdraw()
	}
	c.Budget = budget
	if edit != nil {
		edit(&c)
	}
	p, err := retry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func retryInstance(p *retry.Policy) *contract.Instance {
	return &contract.Instance{
		Doors: retryDoors(p), Layers: []contract.Layer{retryLayer(p)}, Attempts: 3,
		Transport: func(next http.RoundTripper) http.RoundTripper { return retry.Transport(p, next) },
	}
}

func retryLayer(p *retry.Policy) contract.Layer {
	return contract.Layer{
		Label: "retry orders",
		Books: func() contract.Books {
			s := p.Snapshot()
			return contract.Books{Successes: s.Successes, Failures: s.Failures, Ignored: s.Ignored}
		},
		Tokens: func() float64 { return p.Snapshot().Budget }, Refusal: contract.Books{Failures: 1},
	}
}

func retryDoors(p *retry.Policy) []contract.Door {
	wrapped := retry.Wrap(p, call)
	doors := []contract.Door{
		{
			Name:    "Do",
			Call:    func(ctx context.Context, fn contract.Func) (int, error) { return retry.Do(ctx, p, fn) },
			NilFunc: func(ctx context.Context) error { _, err := retry.Do[int](ctx, p, nil); return err },
		},
		{
			Name: "Wrap", Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { retry.Wrap[int, int](p, nil); return nil },
		},
		{
			Name: "Run",
			Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = p.Run(ctx, func(ctx context.Context) (err error) { v, err = fn(ctx); return err })
				return v, err
			},
			NilFunc: func(ctx context.Context) error { return p.Run(ctx, nil) },
		},
		contract.TransportDoor(func(next http.RoundTripper) http.RoundTripper { return retry.Transport(p, next) }),
	}
	doors[3].Differs = transportDiffers
	return doors
}

// call is what Wrap wraps: the function comes as the input.
func call(ctx context.Context, fn contract.Func) (int, error) { return fn(ctx) }

// retryCallbacks are all of the user's code that a retry runs. instance makes the instance around the policy.
func retryCallbacks(instance func(testing.TB, *retry.Policy) *contract.Instance) []contract.Callback {
	callback := func(name string, edit func(c *retry.Config, hook func())) contract.Callback {
		return contract.Callback{
			Name: "retry " + name, Err: errDependency, Status: http.StatusServiceUnavailable,
			New: func(t testing.TB, hook func()) *contract.Instance {
				return instance(t, newRetry(t, contract.Setup{}, func(c *retry.Config) { edit(c, hook) }))
			},
		}
	}
	all := []contract.Callback{
		callback("RetryIf", func(c *retry.Config, hook func()) {
			c.RetryIf = func(error) bool { hook(); return true }
		}),
		callback("OnRetry", func(c *retry.Config, hook func()) {
			c.OnRetry = func(retry.Event) { hook() }
		}),
		callback("Backoff", func(c *retry.Config, hook func()) {
			c.Backoff = func() backoff.BackOff { hook(); return &backoff.ZeroBackOff{} }
		}),
		callback("BackOff.NextBackOff", func(c *retry.Config, hook func()) {
			c.Backoff = func() backoff.BackOff { return &hooked{next: hook} }
		}),
		callback("BackOff.Reset", func(c *retry.Config, hook func()) {
			c.Backoff = func() backoff.BackOff { return &hooked{reset: hook} }
		}),
		callback("Logger, before a retry", func(c *retry.Config, hook func()) {
			c.Logger = logger(slog.LevelDebug, hook)
		}),
		callback("Logger, at the end", func(c *retry.Config, hook func()) {
			c.MaxAttempts = 1
			c.Logger = logger(slog.LevelWarn, hook)
		}),
		callback("RepeatRequest", func(c *retry.Config, hook func()) {
			c.RepeatRequest = func(*http.Request) bool { hook(); return true }
		}),
	}
	all[len(all)-1].Doors = []string{"Transport"}
	return all
}

// hooked is a schedule that runs user code.
type hooked struct{ next, reset func() }

func (h *hooked) NextBackOff() time.Duration {
	if h.next != nil {
		h.next()
	}
	return 0
}

func (h *hooked) Reset() {
	if h.reset != nil {
		h.reset()
	}
}

// logger runs hook at records of one level.
func logger(level slog.Level, hook func()) *slog.Logger { return slog.New(logHook{level, hook}) }

type logHook struct {
	level slog.Level
	hook  func()
}

func (h logHook) Enabled(_ context.Context, level slog.Level) bool { return level == h.level }
func (h logHook) WithAttrs([]slog.Attr) slog.Handler               { return h }
func (h logHook) WithGroup(string) slog.Handler                    { return h }

func (h logHook) Handle(context.Context, slog.Record) error {
	h.hook()
	return nil
}
