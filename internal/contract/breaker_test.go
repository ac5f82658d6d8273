package contract_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/contract"
)

func TestBreaker(t *testing.T) { contract.Run(t, breakerPolicy()) }

const (
	openFor      = time.Second
	maxOpenFor   = 4 * time.Second
	probeTimeout = 30 * time.Second
)

var errDependency = errors.New("the dependency failed")

func breakerPolicy() contract.Policy {
	return contract.Policy{
		Name: "breaker",
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return breakerInstance(newBreaker(t, s, nil))
		},
		Nil:       func() []contract.Door { return breakerDoors(nil) },
		Callbacks: breakerCallbacks(func(t testing.TB, k *breaker.Keyed[string]) *contract.Instance { return breakerInstance(k) }),
		Differs: map[contract.Row]contract.Difference{
			contract.EndsWaiting:   {Why: "a breaker never waits: it lets a call pass or refuses it", Instead: neverWaits},
			contract.CannotBeMet:   {Why: "a breaker never waits: it lets a call pass or refuses it", Instead: neverWaits},
			contract.EndsQueued:    {Why: "a breaker never waits: it lets a call pass or refuses it", Instead: noQueue},
			contract.UnmetQueued:   {Why: "a breaker never waits: it lets a call pass or refuses it", Instead: noQueue},
			contract.HTTPTimeLimit: {Why: "a breaker sets no time limit: the context is the caller's own", Instead: sameContext},
		},
	}
}

// newBreaker makes the breaker of one host to a setup, in a set: the Transport is a set's. edit, if not nil, has the
// last word.
func newBreaker(t testing.TB, s contract.Setup, edit func(*breaker.Config)) *breaker.Keyed[string] {
	t.Helper()
	c := breaker.KeyedConfig{Config: breaker.Config{ // one call of a stack, all of whose attempts fail, does not open it
		Name: "orders", OpenFor: openFor, MaxOpenFor: maxOpenFor, ProbeTimeout: probeTimeout, ConsecutiveFailures: 30, MinCalls: 30,
	}}
	if s.Busy {
		c.ConsecutiveFailures, c.MinCalls, c.OpenFor, c.MaxOpenFor, c.SlowAfter = 3, 0, 2*time.Millisecond, 4*time.Millisecond, 10*time.Millisecond
	}
	if edit != nil {
		edit(&c.Config)
	}
	k, err := breaker.NewKeyed[string](c)
	if err != nil {
		t.Fatal(err)
	}
	if s.OnePlace {
		k.Get(contract.Host).Force(breaker.HalfOpen)
		time.Sleep(time.Microsecond) // in a bubble the clock stands still, and the shortest opening takes a moment of it
	}
	return k
}

func breakerInstance(k *breaker.Keyed[string]) *contract.Instance {
	b := k.Get(contract.Host)
	return &contract.Instance{
		Doors: breakerDoors(k), Layers: []contract.Layer{breakerLayer(b)},
		Attempts: 1, Recovery: maxOpenFor, SilentFor: probeTimeout,
		State:  func() string { return b.State().String() },
		MoveOn: func() { b.Force(breaker.Open) },
		Take: func() (done, copied func(error), err error) {
			permit, err := b.Allow()
			another := permit
			return permit.Done, another.Done, err
		},
		Transport: func(next http.RoundTripper) http.RoundTripper { return breaker.Transport(k, next) },
	}
}

func breakerLayer(b *breaker.Breaker) contract.Layer {
	return contract.Layer{
		Label: "breaker orders",
		Books: func() contract.Books {
			s := b.Snapshot()
			return contract.Books{Successes: s.Successes, Failures: s.Failures, Ignored: s.Ignored, Refused: s.Refused, Late: s.Late}
		},
		Places: func() int { return b.Snapshot().Probing }, Refusal: contract.Books{Ignored: 1},
	}
}

func breakerDoors(k *breaker.Keyed[string]) []contract.Door {
	b := k.Get(contract.Host)
	wrapped := breaker.Wrap(b, call)
	return []contract.Door{
		{
			Name:    "Do",
			Call:    func(ctx context.Context, fn contract.Func) (int, error) { return breaker.Do(ctx, b, fn) },
			NilFunc: func(ctx context.Context) error { _, err := breaker.Do[int](ctx, b, nil); return err },
		},
		{
			Name: "Wrap", Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { breaker.Wrap[int, int](b, nil); return nil },
		},
		{
			Name: "Run",
			Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = b.Run(ctx, func(ctx context.Context) (err error) { v, err = fn(ctx); return err })
				return v, err
			},
			NilFunc: func(ctx context.Context) error { return b.Run(ctx, nil) },
		},
		allowDoor(b),
		contract.TransportDoor(func(next http.RoundTripper) http.RoundTripper { return breaker.Transport(k, next) }),
	}
}

// allowDoor uses the primitive as its documentation advises: Done is deferred, with an error for the case that the
// work never returns.
func allowDoor(b *breaker.Breaker) contract.Door {
	return contract.Door{
		Name: "Allow",
		Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
			permit, err := b.Allow()
			if err != nil {
				return 0, err
			}
			result := errAborted
			defer func() { permit.Done(result) }()
			v, err = fn(ctx)
			result = err
			return v, err
		},
		Differs: map[contract.Row]contract.Difference{
			contract.ContextDone: {Why: "Allow takes no context: whoever has one asks it", Instead: asksNoContext},
			contract.Cancelled: {
				Why:     "Allow takes no context: the error given to Done has to say that the caller cancelled",
				Instead: saidToDone,
			},
			contract.NilFunc: {Why: "Allow takes no function", Instead: nothing},
		},
	}
}

var errAborted = errors.New("the work never returned")

// hangs is the opening that the next call causes at its admission, because those under way are slow.
const hangs = "OnStateChange, opening because calls hang"

// breakerCallbacks are all of the user's code that a breaker runs. instance makes the instance around the set.
func breakerCallbacks(instance func(testing.TB, *breaker.Keyed[string]) *contract.Instance) []contract.Callback {
	callback := func(name string, setup contract.Setup, result error, edit func(c *breaker.Config, hook func())) contract.Callback {
		cb := contract.Callback{
			Name: "breaker " + name, Err: result,
			New: func(t testing.TB, hook func()) *contract.Instance {
				made := false // Force, with which a setup begins, tells of its changes too
				k := newBreaker(t, setup, func(c *breaker.Config) {
					edit(c, func() {
						if made {
							hook()
						}
					})
				})
				made = true
				if name == hangs {
					_, _ = k.Get(contract.Host).Allow() // a call that never comes back
					time.Sleep(2 * time.Second)
				}
				return instance(t, k)
			},
		}
		if result != nil {
			cb.Status = http.StatusServiceUnavailable
		}
		return cb
	}
	// changes runs hook at changes to a state, however the breaker tells of them.
	changes := func(to breaker.State) func(*breaker.Config, func()) {
		return func(c *breaker.Config, hook func()) {
			c.ConsecutiveFailures = 1
			c.OnStateChange = func(e breaker.Event) {
				if e.To == to {
					hook()
				}
			}
		}
	}
	logged := func(level slog.Level) func(*breaker.Config, func()) {
		return func(c *breaker.Config, hook func()) {
			c.ConsecutiveFailures = 1
			c.Logger = logger(level, hook)
		}
	}
	classify := func(c *breaker.Config, hook func()) {
		c.Classify = func(err error) breaker.Outcome { hook(); return breaker.DefaultClassify(err) }
	}
	hanging := func(c *breaker.Config, hook func()) {
		c.SlowAfter, c.MinCalls = time.Second, 1
		changes(breaker.Open)(c, hook)
	}
	probe := contract.Setup{OnePlace: true}
	return []contract.Callback{
		callback("Classify", contract.Setup{}, errDependency, classify),
		callback("Classify, of a probe", probe, errDependency, classify),
		callback("OnStateChange, opening", contract.Setup{}, errDependency, changes(breaker.Open)),
		callback("OnStateChange, half-open", probe, nil, changes(breaker.HalfOpen)),
		callback("OnStateChange, closing", probe, nil, changes(breaker.Closed)),
		callback("OnStateChange, opening again", probe, errDependency, changes(breaker.Open)),
		callback(hangs, contract.Setup{}, nil, hanging),
		callback("Logger, opening", contract.Setup{}, errDependency, logged(slog.LevelWarn)),
		callback("Logger, half-open", probe, nil, logged(slog.LevelInfo)),
	}
}
