package contract_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/internal/contract"
)

func TestBulkhead(t *testing.T) { contract.Run(t, bulkheadPolicy("bulkhead", nil)) }

// The same with a limit that is found: each call is timed, and judged by it.
func TestBulkheadAdaptive(t *testing.T) {
	p := bulkheadPolicy("bulkhead, adaptive", adaptive)
	p.Variant = true
	contract.Run(t, p)
}

const bulkheadLabel = "bulkhead orders"

func adaptive(c *bulkhead.Config) {
	c.Adaptive = &bulkhead.Adaptive{Min: c.Limit, Max: 2*c.Limit - 1, Initial: c.Limit} // of one place, always one
}

// bulkheadPolicy is one whose bulkheads are as edit makes them, if it is not nil.
func bulkheadPolicy(name string, edit func(*bulkhead.Config)) contract.Policy {
	return contract.Policy{
		Name: name,
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return bulkheadInstance(newBulkhead(t, s, edit))
		},
		Nil:       func() []contract.Door { return bulkheadDoors(nil) },
		Callbacks: bulkheadCallbacks(func(t testing.TB, b *bulkhead.Bulkhead) *contract.Instance { return bulkheadInstance(b) }),
		Queues:    bulkheadQueues(func(t testing.TB, b *bulkhead.Bulkhead) *contract.Instance { return bulkheadInstance(b) }, edit),
		Full:      bulkhead.ErrFull,
		Hopeless:  hopeless,
		Differs: map[contract.Row]contract.Difference{
			contract.EndsWaiting:   {Why: "a bulkhead does not wait after a failure: it waits before a call, see " + string(contract.EndsQueued), Instead: neverWaits},
			contract.CannotBeMet:   {Why: "a bulkhead does not wait after a failure: it waits before a call, see " + string(contract.UnmetQueued), Instead: neverWaits},
			contract.HTTPTimeLimit: {Why: "a bulkhead sets no time limit: the context is the caller's own", Instead: sameContext},
			contract.Late: {
				Why:     "a result is of its own call, and no state moves on: what may change meanwhile is the limit",
				Instead: resized,
			},
			contract.NeverDone: {Why: "a permit that is dropped keeps its place for ever, as documented", Instead: keptForEver},
		},
	}
}

// newBulkhead makes a bulkhead to a setup: with one place, unless it is busy. edit, if not nil, has the last word.
func newBulkhead(t testing.TB, s contract.Setup, edit func(*bulkhead.Config)) *bulkhead.Bulkhead {
	t.Helper()
	c := bulkhead.Config{Name: "orders", Limit: 1}
	if s.Wait > 0 {
		c.Queue, c.MaxWait = 1, s.Wait
	}
	if s.Busy { // the queue stands at times
		c.Limit, c.Queue, c.Interval, c.Target = 100, 200, 500*time.Microsecond, 100*time.Microsecond
	}
	if edit != nil {
		edit(&c)
	}
	b, err := bulkhead.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bulkheadInstance(b *bulkhead.Bulkhead) *contract.Instance {
	return &contract.Instance{
		Doors: bulkheadDoors(b), Layers: []contract.Layer{bulkheadLayer(b)}, Attempts: 1,
		Take:      acquire(b),
		Transport: func(next http.RoundTripper) http.RoundTripper { return bulkhead.Transport(b, next) },
	}
}

func bulkheadLayer(b *bulkhead.Bulkhead) contract.Layer {
	return contract.Layer{
		Label: bulkheadLabel,
		Books: func() contract.Books {
			s := b.Snapshot()
			return contract.Books{Successes: s.Successes, Failures: s.Failures, Ignored: s.Ignored, Refused: s.Refused}
		},
		Places: func() int { return b.Snapshot().InUse },
		Queued: func() int { return b.Snapshot().Queued },
		Fill:   func() (empty func(), calls uint64) { return fill(b), uint64(b.Snapshot().Limit) },
	}
}

// fill takes all places.
func fill(b *bulkhead.Bulkhead) (empty func()) {
	var permits []bulkhead.Permit
	for range b.Snapshot().Limit {
		p, err := b.Acquire(context.Background())
		if err != nil {
			panic(err)
		}
		permits = append(permits, p)
	}
	return func() {
		for _, p := range permits {
			p.Done(nil)
		}
	}
}

func acquire(b *bulkhead.Bulkhead) func() (done, copied func(error), err error) {
	return func() (done, copied func(error), err error) {
		permit, err := b.Acquire(context.Background())
		another := permit
		return permit.Done, another.Done, err
	}
}

// bulkheadQueues are what calls wait for. instance makes the instance around the bulkhead.
func bulkheadQueues(instance func(testing.TB, *bulkhead.Bulkhead) *contract.Instance, edit func(*bulkhead.Config)) []contract.Queue {
	return []contract.Queue{
		{
			Name: "for a place",
			New: func(t testing.TB, s contract.Setup) *contract.Instance {
				return instance(t, newBulkhead(t, s, edit))
			},
		},
		{
			Name: "for the rate",
			New: func(t testing.TB, s contract.Setup) *contract.Instance {
				b := newBulkhead(t, s, func(c *bulkhead.Config) {
					c.Limit, c.Rate, c.Burst = 10, rate.Every(time.Minute), 1
					if edit != nil {
						edit(c)
					}
				})
				in := instance(t, b)
				for i := range in.Layers {
					if l := &in.Layers[i]; l.Fill != nil {
						l.Fill = func() (func(), uint64) { return spend(b), 1 }
					}
				}
				return in
			},
		},
	}
}

// spend takes the one token that there is. The next is there a minute later.
func spend(b *bulkhead.Bulkhead) (empty func()) {
	p, err := b.Acquire(context.Background())
	if err != nil {
		panic(err)
	}
	p.Done(nil)
	due := time.Now().Add(time.Minute)
	return func() { time.Sleep(time.Until(due)) }
}

// hopeless reports whether a refusal is because of the deadline.
func hopeless(err error) bool {
	var full *bulkhead.FullError
	return errors.As(err, &full) && full.Reason == bulkhead.ReasonDeadline
}

func bulkheadDoors(b *bulkhead.Bulkhead) []contract.Door {
	wrapped := bulkhead.Wrap(b, call)
	return []contract.Door{
		{
			Name:    "Do",
			Call:    func(ctx context.Context, fn contract.Func) (int, error) { return bulkhead.Do(ctx, b, fn) },
			NilFunc: func(ctx context.Context) error { _, err := bulkhead.Do[int](ctx, b, nil); return err },
		},
		{
			Name: "Wrap", Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { bulkhead.Wrap[int, int](b, nil); return nil },
		},
		{
			Name: "Run",
			Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = b.Run(ctx, func(ctx context.Context) (err error) { v, err = fn(ctx); return err })
				return v, err
			},
			NilFunc: func(ctx context.Context) error { return b.Run(ctx, nil) },
		},
		acquireDoor(b),
		tryAcquireDoor(b),
		contract.TransportDoor(func(next http.RoundTripper) http.RoundTripper { return bulkhead.Transport(b, next) }),
	}
}

// underPermit runs fn as the documentation of the primitives advises: Done is deferred, with an error for the case that
// the work never returns.
func underPermit(ctx context.Context, permit bulkhead.Permit, fn contract.Func) (v int, err error) {
	result := errAborted
	defer func() { permit.Done(result) }()
	v, err = fn(ctx)
	result = err
	return v, err
}

func acquireDoor(b *bulkhead.Bulkhead) contract.Door {
	return contract.Door{
		Name: "Acquire",
		Call: func(ctx context.Context, fn contract.Func) (int, error) {
			permit, err := b.Acquire(ctx)
			if err != nil {
				return 0, err
			}
			return underPermit(ctx, permit, fn)
		},
		Differs: map[contract.Row]contract.Difference{
			contract.Cancelled: {
				Why:     "Acquire's context bounds the wait: the error given to Done has to say that the caller cancelled",
				Instead: saidToDone,
			},
			contract.NilFunc: {Why: "Acquire takes no function", Instead: nothing},
		},
	}
}

func tryAcquireDoor(b *bulkhead.Bulkhead) contract.Door {
	return contract.Door{
		Name: "TryAcquire",
		Call: func(ctx context.Context, fn contract.Func) (int, error) {
			permit, err := b.TryAcquire()
			if err != nil {
				return 0, err
			}
			return underPermit(ctx, permit, fn)
		},
		Take: func() (done, copied func(error), err error) {
			permit, err := b.TryAcquire()
			another := permit
			return permit.Done, another.Done, err
		},
		Differs: map[contract.Row]contract.Difference{
			contract.ContextDone: {Why: "TryAcquire takes no context: whoever has one asks it", Instead: asksNoContext},
			contract.Cancelled: {
				Why:     "TryAcquire takes no context: the error given to Done has to say that the caller cancelled",
				Instead: saidToDone,
			},
			contract.EndsQueued:  {Why: "TryAcquire does not wait", Instead: triesOnce},
			contract.UnmetQueued: {Why: "TryAcquire does not wait, and knows no deadline", Instead: triesOnce},
			contract.NilFunc:     {Why: "TryAcquire takes no function", Instead: nothing},
		},
	}
}

// bulkheadCallbacks are all of the user's code that a bulkhead runs. instance makes the instance around the bulkhead.
func bulkheadCallbacks(instance func(testing.TB, *bulkhead.Bulkhead) *contract.Instance) []contract.Callback {
	callback := func(name string, edit func(c *bulkhead.Config, hook func())) contract.Callback {
		return contract.Callback{
			Name: "bulkhead " + name, Err: errDependency, Status: http.StatusServiceUnavailable,
			New: func(t testing.TB, hook func()) *contract.Instance {
				return instance(t, newBulkhead(t, contract.Setup{}, func(c *bulkhead.Config) { edit(c, hook) }))
			},
		}
	}
	// The last two are asked about a request before it is a call of the bulkhead's.
	overloaded := callback("Adaptive.Overloaded", func(c *bulkhead.Config, hook func()) {
		adaptive(c)
		c.Adaptive.Overloaded = func(error) bool { hook(); return true }
	})
	exempt := callback("Exempt", func(c *bulkhead.Config, hook func()) {
		c.Exempt = func(*http.Request) bool { hook(); return false }
	})
	exempt.Before, exempt.Doors = bulkheadLabel, []string{"Transport", "Handler"}
	priority := callback("RequestPriority", func(c *bulkhead.Config, hook func()) {
		c.RequestPriority = func(*http.Request) bulkhead.Priority { hook(); return bulkhead.Critical }
	})
	priority.Before, priority.Doors = bulkheadLabel, []string{"Handler"}

	judged := new(asked)
	return []contract.Callback{overloaded, exempt, priority, {
		Name: "bulkhead, an error's Is", Err: judged,
		New: func(t testing.TB, hook func()) *contract.Instance {
			judged.hook = hook
			return instance(t, newBulkhead(t, contract.Setup{}, nil))
		},
	}}
}

// asked is an error that runs user code when somebody wants to know what it is.
type asked struct{ hook func() }

func (*asked) Error() string { return "the dependency failed" }

func (e *asked) Is(error) bool {
	e.hook()
	return false
}
