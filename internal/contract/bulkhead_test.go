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

func TestBulkhead(t *testing.T) { contract.Run(t, bulkheadPolicy("bulkhead", newBulkhead)) }

// The same with a limit that is found: each call is timed, and judged by it. The range of one place is that one.
func TestBulkheadAdaptive(t *testing.T) {
	p := bulkheadPolicy("bulkhead, adaptive", func(t testing.TB, s contract.Setup, edit func(*bulkhead.Config)) *limited {
		b := newBulkhead(t, s, func(c *bulkhead.Config) {
			if edit != nil {
				edit(c)
			}
			if c.Adaptive == nil { // its range goes by the Limit
				adaptive(c)
			}
		})
		b.seesStatus = true
		return b
	})
	p.Variant = true
	contract.Run(t, p)
}

func adaptive(c *bulkhead.Config) {
	c.Adaptive = &bulkhead.Adaptive{Min: c.Limit, Max: 2*c.Limit - 1}
}

// The same with two places to be had for each call, and given back: the key's own, and one of those that all keys share.
func TestBulkheadKeyed(t *testing.T) {
	p := bulkheadPolicy("bulkhead, keyed", newKeyedBulkhead)
	p.Variant = true
	p.Queues = append(p.Queues, contract.Queue{
		Name: "for a place of the total",
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			b := newKeyedBulkhead(t, s, nil)
			b.fill = b.fillTotal
			return bulkheadInstance(b)
		},
	})
	contract.Run(t, p)
}

// limited is a bulkhead as the suite looks at it.
type limited struct {
	*bulkhead.Bulkhead
	label     string
	total     *bulkhead.Bulkhead // nil: none
	transport func(next http.RoundTripper) http.RoundTripper

	seesStatus bool // of a Handler's responses

	fill      func() (empty func(), calls uint64) // see [contract.Layer]
	fillTotal func() (empty func(), calls uint64) // by another key
}

// freshBulkhead makes a bulkhead to a setup: with one place, unless it is busy. edit, if not nil, has the last word.
type freshBulkhead = func(t testing.TB, s contract.Setup, edit func(*bulkhead.Config)) *limited

func newBulkhead(t testing.TB, s contract.Setup, edit func(*bulkhead.Config)) *limited {
	t.Helper()
	b, err := bulkhead.New(bulkheadConfig(s, edit))
	if err != nil {
		t.Fatal(err)
	}
	return limitedBy(t, b)
}

// limitedBy is what there is to a bulkhead; of nil, its doors.
func limitedBy(t testing.TB, b *bulkhead.Bulkhead) *limited {
	return &limited{
		Bulkhead: b, label: bulkheadLabel,
		transport:  func(next http.RoundTripper) http.RoundTripper { return bulkhead.Transport(b, next) },
		seesStatus: b == nil,
		fill:       func() (func(), uint64) { return fill(t, b), uint64(b.Snapshot().Limit) },
	}
}

const bulkheadLabel = "bulkhead orders"

func bulkheadConfig(s contract.Setup, edit func(*bulkhead.Config)) bulkhead.Config {
	c := bulkhead.Config{Name: "orders", Limit: max(s.Places, 1)}
	if s.Wait > 0 {
		c.Queue, c.MaxWait = 1, s.Wait
	}
	if s.Busy { // the queue stands at times
		c.Limit, c.Queue, c.Interval, c.Target = 100, 200, 500*time.Microsecond, 100*time.Microsecond
	}
	if edit != nil {
		edit(&c)
	}
	return c
}

func newKeyedBulkhead(t testing.TB, s contract.Setup, edit func(*bulkhead.Config)) *limited {
	t.Helper()
	c := bulkheadConfig(s, edit)
	k, err := bulkhead.NewKeyed[string](bulkhead.KeyedConfig{Config: c, Total: c.Limit})
	if err != nil {
		t.Fatal(err)
	}
	b := limitedBy(t, k.Get(contract.Host))
	b.label, b.total = bulkheadLabel+"["+contract.Host+"]", k.Total()
	b.transport = func(next http.RoundTripper) http.RoundTripper { return k.Transport(bulkhead.Host, next) }
	b.fillTotal = func() (func(), uint64) { return fill(t, k.Get("another")), 0 }
	return b
}

// bulkheadPolicy is that of bulkheads as fresh makes them.
func bulkheadPolicy(name string, fresh freshBulkhead) contract.Policy {
	return contract.Policy{
		Name: name,
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return bulkheadInstance(fresh(t, s, nil))
		},
		Nil:       func() []contract.Door { return bulkheadDoors(limitedBy(nil, nil)) },
		Callbacks: bulkheadCallbacks(fresh, func(_ testing.TB, b *limited) *contract.Instance { return bulkheadInstance(b) }),
		Queues:    bulkheadQueues(fresh, func(_ testing.TB, b *limited) *contract.Instance { return bulkheadInstance(b) }),
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

func bulkheadInstance(b *limited) *contract.Instance {
	return &contract.Instance{
		Doors: bulkheadDoors(b), Layers: []contract.Layer{bulkheadLayer(b)}, Attempts: 1,
		Take: func() (done, copied func(error), err error) {
			permit, err := b.Acquire(context.Background())
			another := permit
			return permit.Done, another.Done, err
		},
		Transport: b.transport,
	}
}

func bulkheadLayer(b *limited) contract.Layer {
	return contract.Layer{
		Label: b.label,
		Books: func() contract.Books {
			s := b.Snapshot()
			return contract.Books{Successes: s.Successes, Failures: s.Failures, Ignored: s.Ignored, Refused: s.Refused}
		},
		Places: func() int { return b.Snapshot().InUse + b.total.Snapshot().InUse },
		Queued: func() int { return b.Snapshot().Queued + b.total.Snapshot().Queued },
		Fill:   b.fill, Refusal: contract.Books{Ignored: 1},
	}
}

// fill takes all places.
func fill(t testing.TB, b *bulkhead.Bulkhead) (empty func()) {
	t.Helper()
	var permits []bulkhead.Permit
	for range b.Snapshot().Limit {
		p, err := b.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		permits = append(permits, p)
	}
	return func() {
		for _, p := range permits {
			p.Done(nil)
		}
	}
}

// bulkheadQueues are what calls wait for. instance makes the instance around the bulkhead.
func bulkheadQueues(fresh freshBulkhead, instance func(testing.TB, *limited) *contract.Instance) []contract.Queue {
	return []contract.Queue{
		{
			Name: "for a place",
			New:  func(t testing.TB, s contract.Setup) *contract.Instance { return instance(t, fresh(t, s, nil)) },
		},
		{
			Name: "for the rate",
			New: func(t testing.TB, s contract.Setup) *contract.Instance {
				b := fresh(t, s, func(c *bulkhead.Config) { c.Rate, c.Burst = rate.Every(time.Minute), 1 })
				b.fill = func() (func(), uint64) { return spend(t, b.Bulkhead), 1 }
				return instance(t, b)
			},
		},
	}
}

// spend takes the one token that there is. The next is there a minute later.
func spend(t testing.TB, b *bulkhead.Bulkhead) (empty func()) {
	t.Helper()
	p, err := b.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
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

func bulkheadDoors(b *limited) []contract.Door {
	wrapped := bulkhead.Wrap(b.Bulkhead, call)
	doors := []contract.Door{
		{
			Name: "Do",
			Call: func(ctx context.Context, fn contract.Func) (int, error) { return bulkhead.Do(ctx, b.Bulkhead, fn) },
			NilFunc: func(ctx context.Context) error {
				_, err := bulkhead.Do[int](ctx, b.Bulkhead, nil)
				return err
			},
		},
		{
			Name: "Wrap", Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { bulkhead.Wrap[int, int](b.Bulkhead, nil); return nil },
		},
		{
			Name: "Run",
			Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = b.Run(ctx, func(ctx context.Context) (err error) { v, err = fn(ctx); return err })
				return v, err
			},
			NilFunc: func(ctx context.Context) error { return b.Run(ctx, nil) },
		},
		acquireDoor(b.Bulkhead),
		tryAcquireDoor(b.Bulkhead),
		contract.TransportDoor(b.transport),
		handlerDoor("Handler", bulkheadHandler(b.Bulkhead), abort),
	}
	if b.seesStatus {
		doors = append(doors, handlerDoor("Handler, by status", bulkheadHandler(b.Bulkhead), answer500))
	}
	return doors
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

// bulkheadCallbacks are all of the user's code that a bulkhead runs. (Its Logger is never written to.) instance makes the
// instance around the bulkhead.
func bulkheadCallbacks(fresh freshBulkhead, instance func(testing.TB, *limited) *contract.Instance) []contract.Callback {
	callback := func(name string, edit func(c *bulkhead.Config, hook func())) contract.Callback {
		return contract.Callback{
			Name: "bulkhead " + name, Err: errDependency, Status: http.StatusServiceUnavailable,
			New: func(t testing.TB, hook func()) *contract.Instance {
				return instance(t, fresh(t, contract.Setup{}, func(c *bulkhead.Config) { edit(c, hook) }))
			},
		}
	}
	overloaded := callback("Adaptive.Overloaded", func(c *bulkhead.Config, hook func()) {
		adaptive(c)
		c.Adaptive.Overloaded = func(error) bool { hook(); return true }
	})

	early := callback("Adaptive.Overloaded, with the response in hand", func(c *bulkhead.Config, hook func()) {
		adaptive(c)
		c.ReleaseAtHeader = true
		c.Adaptive.Overloaded = func(error) bool { hook(); return true }
	})
	early.Doors = []string{"Transport"}

	// What is asked about a request before it is a call of the bulkhead's.
	exempt := callback("Exempt", func(c *bulkhead.Config, hook func()) {
		c.Exempt = func(*http.Request) bool { hook(); return false }
	})
	exempt.Before, exempt.Doors = queues, []string{"Transport", "Handler", "Handler, by status"}
	priority := callback("RequestPriority", func(c *bulkhead.Config, hook func()) {
		c.RequestPriority = func(*http.Request) bulkhead.Priority { hook(); return bulkhead.Critical }
	})
	priority.Before, priority.Doors = queues, []string{"Handler", "Handler, by status"}

	judged := new(asked)
	is := contract.Callback{
		Name: "bulkhead, an error's Is", Err: judged, Doors: []string{"Do", "Wrap", "Run", "Acquire", "TryAcquire", "Transport"},
		New: func(t testing.TB, hook func()) *contract.Instance {
			judged.hook = hook
			return instance(t, fresh(t, contract.Setup{}, nil))
		},
	}
	return []contract.Callback{overloaded, early, exempt, priority, is}
}

// queues reports whether a layer is a bulkhead's.
func queues(l contract.Layer) bool { return l.Fill != nil }

// asked is an error that runs user code when somebody wants to know what it is.
type asked struct{ hook func() }

func (*asked) Error() string { return "the dependency failed" }

func (e *asked) Is(error) bool {
	e.hook()
	return false
}
