package contract_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

// five are all the policies. They are around one another in 120 orders.
var five = []string{"retry", "breaker", "bulkhead", "hedge", "failover"}

// permutations are all orders of names.
func permutations(names []string) (all [][]string) {
	if len(names) == 0 {
		return [][]string{nil}
	}
	for i, first := range names {
		for _, rest := range permutations(slices.Delete(slices.Clone(names), i, i+1)) {
			all = append(all, append([]string{first}, rest...))
		}
	}
	return all
}

// lightRows are those that take next to no time.
var lightRows = []contract.Row{
	contract.ContextDone, contract.EndsDuring, contract.EndsWaiting, contract.EndsQueued, contract.CannotBeMet,
	contract.UnmetQueued, contract.Cancelled, contract.RefusedBelow, contract.Panics, contract.Goexits,
	contract.CallbackPanics, contract.LivesOn, contract.Late, contract.NilPolicy, contract.NilFunc, contract.AllFail,
	contract.Dropped,
}

// A holdfast.Stack of all five policies keeps the contract in each order, in each of its doors.
func TestStackOrders(t *testing.T) {
	inEachOrder(t, func(t *testing.T, order []string, number int) {
		t.Parallel()
		p := orderPolicy(order, number, stacked)
		p.Only = lightRows
		contract.Run(t, p)
	})
}

// The same where each call is counted that comes to a layer, while goroutines mix all that can happen: each policy has each
// of its calls in its books, once. The orders take turns with the doors.
func TestStackOrdersBooks(t *testing.T) {
	inEachOrder(t, func(t *testing.T, order []string, number int) {
		t.Parallel()
		p := orderPolicy(order, number, watched)
		p.Only = []contract.Row{contract.Cancelled, contract.RefusedBelow, contract.Panics, contract.Goexits, contract.AllFail, contract.Thousand}
		p.Goroutines = 64
		doors := []string{"Do", "DoDiscard", "Wrap", "Run", "Transport"}
		contract.Run(t, inDoors(p, doors[number%len(doors)]))
	})
}

// A thousand goroutines, in some orders.
func TestStackOrdersThousand(t *testing.T) {
	for _, order := range [][]string{
		{"retry", "hedge", "failover", "breaker", "bulkhead"},
		{"hedge", "failover", "retry", "bulkhead", "breaker"},
		{"bulkhead", "breaker", "failover", "retry", "hedge"},
	} {
		p := orderPolicy(order, 0, stacked)
		p.Only, p.Goroutines = []contract.Row{contract.Thousand}, 1000
		t.Run(p.Name, func(t *testing.T) { contract.Run(t, inDoors(p, "Do")) })
		p.New = orderPolicy(order, 0, watched).New
		t.Run(p.Name+", watched", func(t *testing.T) { contract.Run(t, inDoors(p, "Transport")) })
	}
}

// Over real connections; the orders take turns with the versions of HTTP.
func TestStackOrdersOverHTTP(t *testing.T) {
	inEachOrder(t, func(t *testing.T, order []string, number int) {
		t.Parallel()
		p := orderPolicy(order, number, stacked)
		p.Only = []contract.Row{
			contract.HTTPLastResponse, contract.HTTPBodies, contract.HTTPConnections, contract.HTTPStream, contract.HTTPTimeLimit,
		}
		contract.Run(t, inDoors(overVersion(p, number), "Transport"))
	})
}

// What is left running is seen where nothing else runs.
func TestStackOrdersLeaveNothing(t *testing.T) {
	inEachOrder(t, func(t *testing.T, order []string, number int) {
		p := orderPolicy(order, number, stacked)
		p.Only = []contract.Row{contract.HTTPNothingLeft}
		contract.Run(t, inDoors(overVersion(p, number), "Transport"))
	})
}

// One policy that is switched off lets calls pass to the others, wherever it is; they have them in their books.
func TestStackOrdersOneNil(t *testing.T) {
	inEachOrder(t, func(t *testing.T, order []string, _ int) {
		for off, name := range order {
			for i := range stackDoors(nil, nil) {
				synctest.Test(t, func(t *testing.T) {
					layers := layersOf(t, order, contract.Setup{}, false)
					layers[off].policy, layers[off].group = nilOf[name], nil
					in := stacked(layers)
					in.Layers = slices.Delete(in.Layers, off, off+1)
					door := in.Doors[i]
					if v, err := door.Call(t.Context(), func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
						t.Errorf("no %s, %s: got %d, %v, want 7, nil", name, door.Name, v, err)
					}
					failure := door.Failure(1)
					if _, err := door.Call(t.Context(), func(context.Context) (int, error) { return 5, failure }); !errors.Is(err, failure) {
						t.Errorf("no %s, %s: got %v, want %v", name, door.Name, err, failure)
					}
					synctest.Wait()
					for _, l := range in.Layers {
						if b := l.Books(); b.Successes != 1 || b.Failures == 0 || l.Places != nil && l.Places() != 0 {
							t.Errorf("no %s, %s: %s: books are %+v, want a success, and failures", name, door.Name, l.Label, b)
						}
					}
				})
			}
		}
	})
}

func inEachOrder(t *testing.T, check func(t *testing.T, order []string, number int)) {
	t.Helper()
	for number, order := range permutations(five) {
		t.Run(strings.Join(order, ","), func(t *testing.T) { check(t, order, number) })
	}
}

// inDoors is a policy with these of its doors only.
func inDoors(p contract.Policy, names ...string) contract.Policy {
	all := p.New
	p.New = func(t testing.TB, s contract.Setup) *contract.Instance {
		in := all(t, s)
		in.Doors = slices.DeleteFunc(in.Doors, func(d contract.Door) bool { return !slices.Contains(names, d.Name) })
		return in
	}
	return p
}

// overVersion is a policy over one version of HTTP, one or the other by turns.
func overVersion(p contract.Policy, number int) contract.Policy {
	p.Version = []string{"HTTP/1.1", "HTTP/2"}[number%2]
	return p
}

// orderPolicy is a holdfast.Stack of the kinds in order. number chooses the callbacks, one of each kind: there are many,
// and as many orders.
func orderPolicy(order []string, number int, build func([]layer) *contract.Instance) contract.Policy {
	p := stackPolicyOf(order, false, build)
	p.Name = "holdfast.Stack(" + strings.Join(order, ", ") + ")"
	p.Brief = true
	p.Nil = func() []contract.Door { return stackDoors(nilInside(order), nil) }
	var some []contract.Callback
	for _, name := range order {
		of := slices.DeleteFunc(slices.Clone(p.Callbacks), func(cb contract.Callback) bool { return !strings.HasPrefix(cb.Name, name) })
		if len(of) > 0 {
			some = append(some, of[number%len(of)])
		}
	}
	p.Callbacks = some
	delete(p.Differs, contract.NilFunc)

	attempts := 0
	ends := failing(order, &attempts)
	p.Differs[contract.AllFail] = contract.Difference{Why: "of attempts beside each other the first counts; a Run has no value", Instead: failsAs(ends)}
	delete(p.Differs, contract.HTTPLastResponse)
	if ends.value != attempts {
		p.Differs[contract.HTTPLastResponse] = contract.Difference{
			Why: "of attempts beside each other the first counts", Instead: contract.ResponseBefore(attempts - ends.value),
		}
	}
	return p
}

// stacked is a holdfast.Stack of layers. There is nothing between them, so that who comes to an inner one is not counted.
func stacked(layers []layer) *contract.Instance {
	in := stack(layers)
	for i := range in.Layers {
		in.Layers[i].Entered = nil
	}
	return throughStack(in, layers, nil)
}

// watched is the same with somebody else's policy between each two, which counts.
func watched(layers []layer) *contract.Instance {
	in := stack(layers)
	counts := make([]*atomic.Uint64, len(layers))
	for i := range in.Layers[1:] {
		counts[i+1] = new(atomic.Uint64)
		in.Layers[i+1].Entered = counts[i+1].Load
	}
	return throughStack(in, layers, counts)
}

// throughStack gives an instance the doors of a holdfast.Stack. counts, if not nil, are what counts those that come to a layer.
func throughStack(in *contract.Instance, layers []layer, counts []*atomic.Uint64) *contract.Instance {
	s, group := stackOf(layers, counts)
	in.Attempts = 0
	failing(kindsOf(layers), &in.Attempts)
	in.Doors = stackDoors(s, group)
	in.Transport = stackTransport(s, group)
	return in
}

// stackOf is the holdfast.Stack of layers, and the group that is one of them.
func stackOf(layers []layer, counts []*atomic.Uint64) (s *holdfast.Stack, group *urlGroup) {
	var policies []holdfast.Runner
	for i, l := range layers {
		if counts != nil && i > 0 {
			policies = append(policies, watcher{counts[i]})
		}
		policies = append(policies, l.policy)
		if l.group != nil {
			group = l.group
		}
	}
	s, err := holdfast.NewStack(policies...)
	if s == nil { // that a hedge comes too late is found, too: the suite's only hedge what has failed
		panic(err)
	}
	return s, group
}

// nilInside is a stack of nil policies.
func nilInside(order []string) *holdfast.Stack {
	var all []holdfast.Runner
	for _, name := range order {
		all = append(all, nilOf[name])
	}
	return holdfast.MustStack(all...)
}

// nilOf are the policies that are switched off.
var nilOf = map[string]holdfast.Runner{
	"retry": (*retry.Policy)(nil), "breaker": (*breaker.Breaker)(nil), "bulkhead": (*bulkhead.Bulkhead)(nil),
	"hedge": (*hedge.Policy)(nil), "failover": holdfast.OneOf[*url.URL](nil),
}

// kindsOf are the kinds of layers.
func kindsOf(layers []layer) (order []string) {
	for _, l := range layers {
		order = append(order, strings.Fields(l.Layers[0].Label)[0])
	}
	return order
}

// stackTransport is the Transport of a stack with this group in it.
func stackTransport(s *holdfast.Stack, group *urlGroup) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		if group == nil {
			return s.Transport(next)
		}
		return located{s.Transport(next), group}
	}
}

// watcher is a policy that does nothing but count.
type watcher struct{ entered *atomic.Uint64 }

func (w watcher) Run(ctx context.Context, fn func(context.Context) error) error {
	w.entered.Add(1)
	return fn(ctx)
}

func (w watcher) Transport(next http.RoundTripper) http.RoundTripper { return counter{next, w.entered} }

// stackDoors are all doors of a holdfast.Stack for calls that go out.
func stackDoors(s *holdfast.Stack, group *urlGroup) []contract.Door {
	wrapped := holdfast.Wrap(s, call)
	transport := contract.TransportDoor(stackTransport(s, group))
	transport.Differs = transportDiffers
	return []contract.Door{
		{
			Name: "Do", Allocates: true,
			Call: func(ctx context.Context, fn contract.Func) (int, error) { return holdfast.Do(ctx, s, fn) },
			NilFunc: func(ctx context.Context) error {
				_, err := holdfast.Do[int](ctx, s, nil)
				return err
			},
		},
		stackDiscardDoor(s),
		{
			Name: "Wrap", Allocates: true, Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { holdfast.Wrap[int, int](s, nil); return nil },
		},
		{
			Name: "Run", Allocates: true,
			Call: func(ctx context.Context, fn contract.Func) (int, error) {
				return outcome(func(run func(context.Context) error) error { return s.Run(ctx, run) }, fn)
			},
			NilFunc: func(ctx context.Context) error { return s.Run(ctx, nil) },
		},
		transport,
	}
}

// stackDiscardDoor keeps account of values: what a success made, and is not returned, is discarded; nothing is discarded
// twice, and nothing that no attempt made.
func stackDiscardDoor(s *holdfast.Stack) contract.Door {
	open := new(atomic.Int64)
	return contract.Door{
		Name: "DoDiscard", Allocates: true, Open: open.Load,
		Call: func(ctx context.Context, fn contract.Func) (int, error) {
			made, err := holdfast.DoDiscard(ctx, s, func(ctx context.Context) (*made, error) {
				v, err := fn(ctx)
				if err == nil {
					open.Add(1)
				}
				return &made{v: v, good: err == nil}, err
			}, func(m *made) {
				switch {
				case m == nil || m.gone.Swap(true):
					open.Add(1_000_000) // shows as what was never closed
				case m.good:
					open.Add(-1)
				}
			})
			if made == nil {
				return 0, err
			}
			if err == nil && !made.gone.Swap(true) {
				open.Add(-1)
			}
			return made.v, err
		},
		NilFunc: func(ctx context.Context) error {
			_, err := holdfast.DoDiscard(ctx, s, nil, func(int) {})
			return err
		},
		Differs: map[contract.Row]contract.Difference{
			contract.CallbackPanics: {
				Why:     "a breaker knows of no values: the one that its callback's panic takes away reaches nobody who could discard it",
				Instead: exceptForValues,
			},
		},
	}
}

// exceptForValues is the row, but that values are not looked at where a breaker's callback goes wrong.
func exceptForValues(t *testing.T, c *contract.Cell) {
	d := *c
	d.Policy.Callbacks = slices.Clone(c.Policy.Callbacks)
	for i, cb := range c.Policy.Callbacks {
		if !strings.HasPrefix(cb.Name, "breaker OnStateChange") {
			continue
		}
		d.Policy.Callbacks[i].New = func(t testing.TB, hook func()) *contract.Instance {
			in := cb.New(t, hook)
			for i := range in.Doors {
				in.Doors[i].Open = nil
			}
			return in
		}
	}
	contract.AsRow(t, &d)
}

// made is what an attempt made.
type made struct {
	v    int
	good bool
	gone atomic.Bool // returned, or discarded
}

// failed is what comes of a part of a stack in which every attempt fails.
type failed struct {
	value     int   // the attempt whose value it is; the first is 1
	errs      []int // the attempts whose errors are in the error
	exhausted bool  // a retry has tried it to the end
}

// failing plays a call of which every attempt fails: each layer that makes several makes three, one when another has failed.
// A retry and a failover end with the last, a hedge with the first; what is exhausted, only a failover tries again.
func failing(order []string, attempts *int) failed {
	if len(order) == 0 {
		*attempts++
		return failed{value: *attempts, errs: []int{*attempts}}
	}
	name, all := order[0], failed{}
	for n := range 3 {
		one := failing(order[1:], attempts)
		if name == "failover" || name == "hedge" && n > 0 {
			one.errs = append(all.errs, one.errs...)
		}
		if name == "hedge" && n > 0 {
			one.value = all.value
		}
		all = one
		if name == "breaker" || name == "bulkhead" || one.exhausted && name != "failover" {
			break
		}
	}
	all.exhausted = all.exhausted || name == "retry"
	return all
}

// failsAs: of a call of which every attempt fails, that value and those errors come back that failing says.
func failsAs(want failed) func(*testing.T, *contract.Cell) {
	return func(t *testing.T, c *contract.Cell) {
		synctest.Test(t, func(t *testing.T) {
			s := c.Fresh(t, contract.Setup{Attempts: 3})
			var all []error
			v, err := s.Call(t.Context(), func(context.Context) (int, error) {
				all = append(all, s.Door.Failure(len(all)))
				return 100 + len(all), all[len(all)-1]
			})
			if len(all) != s.Attempts {
				t.Fatalf("fn ran %d times, want %d", len(all), s.Attempts)
			}
			if c.Door != "Run" && v != 100+want.value { // that has no room for one
				t.Errorf("the value is %d, want that of attempt %d", v, want.value)
			}
			found := want.errs
			if s.Door.HTTP { // a RoundTripper returns a response, and no error
				found = []int{want.value}
			}
			for _, attempt := range found {
				if !errors.Is(err, all[attempt-1]) {
					t.Errorf("%v: errors.Is does not find that of attempt %d in it", err, attempt)
				}
			}
			if b := s.Layers[0].Books(); b != (contract.Books{Failures: 1}) {
				t.Errorf("books are %+v, want one failure", b)
			}
			s.Settled()
		})
	}
}
