package contract_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

func TestHedge(t *testing.T) { contract.Run(t, hedgePolicy()) }

const hedgeLabel = "hedge orders"

func hedgePolicy() contract.Policy {
	return contract.Policy{
		Name: "hedge",
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return hedgeInstance(newHedge(t, s, nil))
		},
		Nil:       func() []contract.Door { return hedgeDoors(nil) },
		Callbacks: hedgeCallbacks(func(_ testing.TB, h *hedged) *contract.Instance { return hedgeInstance(h) }),
		Carried:   carried,
		Differs:   hedgeDiffers,
	}
}

// hedged is a hedge as the suite looks at it.
type hedged struct {
	*hedge.Policy
	budget *retry.Budget
}

// newHedge makes a policy to a setup. It hedges what has failed, and in a busy one also what takes long. edit, if not nil,
// has the last word.
func newHedge(t testing.TB, s contract.Setup, edit func(*hedge.Config)) *hedged {
	t.Helper()
	budget, err := retry.NewBudget(retry.BudgetConfig{Capacity: 100, Floor: -1})
	if err != nil {
		t.Fatal(err)
	}
	c := hedge.Config{
		Name: "orders", MaxHedges: 2, Delay: farOff, MaxExtraLoad: -1, Budget: budget,
		HedgeRequest: func(*http.Request) bool { return true },
	}
	if s.Busy {
		c.Delay, c.Budget = time.Millisecond, nil
	}
	if s.Attempts > 1 {
		c.MaxHedges = s.Attempts - 1
	}
	if s.Attempts == 1 || s.Wait > 0 && !s.Busy { // what fails is followed by a wait, if by anything: of a retry
		c.HedgeIf = func(error) bool { return false }
	}
	if edit != nil {
		edit(&c)
	}
	p, err := hedge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &hedged{p, budget}
}

// farOff is a delay that no row waits for.
const farOff = 10_000 * time.Hour

func hedgeInstance(h *hedged) *contract.Instance {
	return &contract.Instance{
		Doors: hedgeDoors(h.Policy), Layers: []contract.Layer{hedgeLayer(h)}, Attempts: 3,
		Transport: func(next http.RoundTripper) http.RoundTripper { return hedge.Transport(h.Policy, next) },
	}
}

func hedgeLayer(h *hedged) contract.Layer {
	return contract.Layer{
		Label: hedgeLabel, Apart: true,
		Books: func() contract.Books {
			s := h.Snapshot()
			return contract.Books{Successes: s.Successes, Failures: s.Failures, Ignored: s.Ignored}
		},
		Tokens: h.budget.Available, Refusal: contract.Books{Failures: 1},
	}
}

func hedgeDoors(p *hedge.Policy) []contract.Door {
	wrapped := hedge.Wrap(p, call)
	return []contract.Door{
		{
			Name:    "Do",
			Call:    func(ctx context.Context, fn contract.Func) (int, error) { return hedge.Do(ctx, p, fn) },
			NilFunc: func(ctx context.Context) error { _, err := hedge.Do[int](ctx, p, nil); return err },
		},
		discardDoor(p),
		{
			Name: "Wrap", Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { hedge.Wrap[int, int](p, nil); return nil },
		},
		{
			Name: "Run",
			Call: func(ctx context.Context, fn contract.Func) (int, error) {
				return outcome(func(fn func(context.Context) error) error { return p.Run(ctx, fn) }, fn)
			},
			NilFunc: func(ctx context.Context) error { return p.Run(ctx, nil) },
		},
		contract.TransportDoor(func(next http.RoundTripper) http.RoundTripper { return hedge.Transport(p, next) }),
	}
}

// discardDoor keeps account of values, as if each were something to be closed: those that are not returned are discarded.
func discardDoor(p *hedge.Policy) contract.Door {
	open := new(atomic.Int64)
	return contract.Door{
		Name: "DoDiscard", Open: open.Load,
		Call: func(ctx context.Context, fn contract.Func) (int, error) {
			v, err := hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
				v, err := fn(ctx)
				if v != 0 || err == nil {
					open.Add(1)
				}
				return v, err
			}, func(int) { open.Add(-1) })
			if v != 0 || err == nil {
				open.Add(-1)
			}
			return v, err
		},
		NilFunc: func(ctx context.Context) error {
			_, err := hedge.DoDiscard(ctx, p, nil, func(int) {})
			return err
		},
	}
}

// outcome runs fn, whose attempts may run beside each other, through a door that has no room for a value: that goes the way
// that the documentation of Run advises, each attempt has its own. The value is that of the first attempt that succeeded, or
// failed if none did.
func outcome(run func(func(context.Context) error) error, fn contract.Func) (int, error) {
	first := [2]atomic.Pointer[int]{}
	err := run(func(ctx context.Context) error {
		v, err := fn(ctx)
		if err == nil {
			first[0].CompareAndSwap(nil, &v)
		} else if v != 0 {
			first[1].CompareAndSwap(nil, &v)
		}
		return err
	})
	which := &first[0]
	if err != nil {
		which = &first[1]
	}
	if v := which.Load(); v != nil {
		return *v, err
	}
	return 0, err
}

// carried is how a panic comes out of an attempt.
func carried(recovered any) (value any, stack string, ok bool) {
	p, ok := recovered.(*hedge.PanicError)
	if !ok {
		return nil, "", false
	}
	return p.Value, string(p.Stack), true
}

// hedgeCallbacks are all of the user's code that a hedge runs, and whose panic has a caller to reach. instance makes the
// instance around the policy.
func hedgeCallbacks(instance func(testing.TB, *hedged) *contract.Instance) []contract.Callback {
	callback := func(name string, result error, edit func(c *hedge.Config, hook func())) contract.Callback {
		cb := contract.Callback{
			Name: "hedge " + name, Err: result,
			New: func(t testing.TB, hook func()) *contract.Instance {
				return instance(t, newHedge(t, contract.Setup{}, func(c *hedge.Config) { edit(c, hook) }))
			},
		}
		if result != nil {
			cb.Status = http.StatusServiceUnavailable
		}
		return cb
	}
	request := callback("HedgeRequest", errDependency, func(c *hedge.Config, hook func()) {
		c.HedgeRequest = func(*http.Request) bool { hook(); return true }
	})
	request.Doors = []string{"Transport"}
	request.Before = func(l contract.Layer) bool { return l.Label == hedgeLabel }

	judged := new(asked)
	is := callback("an error's Is", judged, func(_ *hedge.Config, hook func()) { judged.hook = hook })
	is.Status = 0
	return []contract.Callback{
		callback("HedgeIf", errDependency, func(c *hedge.Config, hook func()) {
			c.HedgeIf = func(error) bool { hook(); return true }
		}),
		callback("Budget.Withdraw", errDependency, func(c *hedge.Config, hook func()) {
			c.HedgeIf = func(error) bool { return true } // also what a retry below has tried to the end
			c.Budget = hookedBudget{Budget: c.Budget, withdraw: hook}
		}),
		callback("Budget.Deposit", nil, func(c *hedge.Config, hook func()) {
			c.Budget = hookedBudget{Budget: c.Budget, deposit: hook}
		}),
		request, is,
	}
}

// hookedBudget is a budget that runs user code.
type hookedBudget struct {
	hedge.Budget
	withdraw, deposit func()
}

func (b hookedBudget) Withdraw() bool {
	if b.withdraw != nil {
		b.withdraw()
	}
	return b.Budget.Withdraw()
}

func (b hookedBudget) Deposit() {
	if b.deposit != nil {
		b.deposit()
	}
	b.Budget.Deposit()
}
