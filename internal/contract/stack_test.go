package contract_test

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

// advised is the order that the documentation advises.
var advised = []string{"retry", "breaker", "bulkhead"}

// orders are the stacks, from the outside in: each pair, and all of the three, in every order.
var orders = []struct {
	layers []string
	brief  bool
}{
	{layers: advised},
	{layers: []string{"retry", "bulkhead", "breaker"}, brief: true},
	{layers: []string{"breaker", "retry", "bulkhead"}, brief: true},
	{layers: []string{"breaker", "bulkhead", "retry"}, brief: true},
	{layers: []string{"bulkhead", "retry", "breaker"}, brief: true},
	{layers: []string{"bulkhead", "breaker", "retry"}, brief: true},
	{layers: []string{"retry", "breaker"}},
	{layers: []string{"breaker", "retry"}},
	{layers: []string{"retry", "bulkhead"}, brief: true},
	{layers: []string{"bulkhead", "retry"}, brief: true},
	{layers: []string{"breaker", "bulkhead"}, brief: true},
	{layers: []string{"bulkhead", "breaker"}, brief: true},

	{layers: []string{"hedge", "retry", "breaker", "bulkhead"}},
	{layers: []string{"retry", "hedge", "breaker", "bulkhead"}, brief: true},
	{layers: []string{"hedge", "retry"}, brief: true},
	{layers: []string{"retry", "hedge"}, brief: true},
	{layers: []string{"hedge", "breaker"}, brief: true},
	{layers: []string{"breaker", "hedge"}, brief: true},
	{layers: []string{"hedge", "bulkhead"}, brief: true},
	{layers: []string{"bulkhead", "hedge"}, brief: true},

	{layers: []string{"retry", "hedge", "failover", "breaker", "bulkhead"}, brief: true},
	{layers: []string{"failover", "breaker"}, brief: true},
	{layers: []string{"failover", "bulkhead"}, brief: true},
	{layers: []string{"retry", "failover"}, brief: true},
	{layers: []string{"failover", "retry"}, brief: true},
	{layers: []string{"hedge", "failover"}, brief: true},
	{layers: []string{"breaker", "failover"}, brief: true},
	{layers: []string{"bulkhead", "failover"}, brief: true},
}

func TestStacks(t *testing.T) {
	for _, order := range orders {
		p := stackPolicy(order.layers, false)
		p.Brief = order.brief
		t.Run(p.Name, func(t *testing.T) { contract.Run(t, p) })
	}
}

// layer is one policy of a stack, with its doors around what is below.
type layer struct {
	*contract.Instance
	do, wrap, run func(next caller) caller

	policy holdfast.Runner // for a holdfast.Stack
	group  *urlGroup       // of a failover
}

type caller = func(context.Context, contract.Func) (int, error)

// kind is what a layer can be.
type kind struct {
	policy contract.Policy // by itself
	layer  func(t testing.TB, s contract.Setup, traced bool) layer

	// The callbacks, and the queues, of a layer in what in makes around it.
	callbacks func(in func(testing.TB, layer) *contract.Instance) []contract.Callback
	queues    func(in func(testing.TB, layer) *contract.Instance) []contract.Queue
}

var kinds = map[string]kind{
	"retry": {
		policy: retryPolicy(),
		layer: func(t testing.TB, s contract.Setup, traced bool) layer {
			return retryAsLayer(newRetry(t, s, func(c *retry.Config) {
				c.TracerProvider, c.MeterProvider = providers(traced)
			}))
		},
		callbacks: func(in func(testing.TB, layer) *contract.Instance) []contract.Callback {
			return retryCallbacks(func(t testing.TB, p *retry.Policy) *contract.Instance { return in(t, retryAsLayer(p)) })
		},
	},
	"breaker": {
		policy: breakerPolicy(),
		layer: func(t testing.TB, s contract.Setup, traced bool) layer {
			return breakerAsLayer(newBreaker(t, s, func(c *breaker.Config) {
				c.TracerProvider, c.MeterProvider = providers(traced)
			}))
		},
		callbacks: func(in func(testing.TB, layer) *contract.Instance) []contract.Callback {
			return breakerCallbacks(func(t testing.TB, k *breaker.Keyed[string]) *contract.Instance { return in(t, breakerAsLayer(k)) })
		},
	},
	"bulkhead": {
		policy: bulkheadPolicy("bulkhead", newBulkhead),
		layer: func(t testing.TB, s contract.Setup, traced bool) layer {
			return bulkheadAsLayer(newBulkhead(t, s, func(c *bulkhead.Config) {
				c.TracerProvider, c.MeterProvider = providers(traced)
			}))
		},
		callbacks: func(in func(testing.TB, layer) *contract.Instance) []contract.Callback {
			return bulkheadCallbacks(newBulkhead, func(t testing.TB, b *limited) *contract.Instance { return in(t, bulkheadAsLayer(b)) })
		},
		queues: func(in func(testing.TB, layer) *contract.Instance) []contract.Queue {
			return bulkheadQueues(newBulkhead, func(t testing.TB, b *limited) *contract.Instance { return in(t, bulkheadAsLayer(b)) })
		},
	},
	"hedge": {
		policy: hedgePolicy(),
		layer: func(t testing.TB, s contract.Setup, traced bool) layer {
			return hedgeAsLayer(newHedge(t, s, func(c *hedge.Config) {
				c.TracerProvider, c.MeterProvider = providers(traced)
			}))
		},
		callbacks: func(in func(testing.TB, layer) *contract.Instance) []contract.Callback {
			return hedgeCallbacks(func(t testing.TB, h *hedged) *contract.Instance { return in(t, hedgeAsLayer(h)) })
		},
	},
	"failover": {
		policy: failoverPolicy(),
		layer: func(t testing.TB, s contract.Setup, traced bool) layer {
			return groupAsLayer(newGroup(t, s, func(c *groupConfig) {
				c.TracerProvider, c.MeterProvider = providers(traced)
			}))
		},
		callbacks: func(in func(testing.TB, layer) *contract.Instance) []contract.Callback {
			return failoverCallbacks(func(t testing.TB, g *grouped) *contract.Instance { return in(t, groupAsLayer(g)) })
		},
	},
}

func retryAsLayer(p *retry.Policy) layer {
	return layer{
		Instance: retryInstance(p), policy: p,
		do: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (int, error) {
				return retry.Do(ctx, p, func(ctx context.Context) (int, error) { return next(ctx, fn) })
			}
		},
		wrap: func(next caller) caller { return retry.Wrap(p, next) },
		run: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = p.Run(ctx, func(ctx context.Context) (err error) { v, err = next(ctx, fn); return err })
				return v, err
			}
		},
	}
}

func breakerAsLayer(k *breaker.Keyed[string]) layer {
	b := k.Get(contract.Host)
	return layer{
		Instance: breakerInstance(k), policy: b,
		do: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (int, error) {
				return breaker.Do(ctx, b, func(ctx context.Context) (int, error) { return next(ctx, fn) })
			}
		},
		wrap: func(next caller) caller { return breaker.Wrap(b, next) },
		run: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = b.Run(ctx, func(ctx context.Context) (err error) { v, err = next(ctx, fn); return err })
				return v, err
			}
		},
	}
}

func bulkheadAsLayer(b *limited) layer {
	return layer{
		Instance: bulkheadInstance(b), policy: b.Bulkhead,
		do: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (int, error) {
				return bulkhead.Do(ctx, b.Bulkhead, func(ctx context.Context) (int, error) { return next(ctx, fn) })
			}
		},
		wrap: func(next caller) caller { return bulkhead.Wrap(b.Bulkhead, next) },
		run: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = b.Run(ctx, func(ctx context.Context) (err error) { v, err = next(ctx, fn); return err })
				return v, err
			}
		},
	}
}

func hedgeAsLayer(h *hedged) layer {
	return layer{
		Instance: hedgeInstance(h), policy: h.Policy,
		do: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (int, error) {
				return hedge.Do(ctx, h.Policy, func(ctx context.Context) (int, error) { return next(ctx, fn) })
			}
		},
		wrap: func(next caller) caller { return hedge.Wrap(h.Policy, next) },
		run: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (int, error) {
				return outcome(func(run func(context.Context) error) error { return h.Run(ctx, run) },
					func(ctx context.Context) (int, error) { return next(ctx, fn) })
			}
		},
	}
}

func groupAsLayer(g *grouped) layer {
	return layer{
		Instance: groupInstance(g), policy: holdfast.OneOf(g.urlGroup), group: g.urlGroup,
		do: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (int, error) {
				return failover.Do(ctx, g.urlGroup, func(ctx context.Context, _ *url.URL) (int, error) { return next(ctx, fn) })
			}
		},
		wrap: func(next caller) caller {
			return failover.Wrap(g.urlGroup, func(ctx context.Context, _ *url.URL, fn contract.Func) (int, error) { return next(ctx, fn) })
		},
		run: func(next caller) caller {
			return func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = g.Run(ctx, func(ctx context.Context, _ *url.URL) (err error) { v, err = next(ctx, fn); return err })
				return v, err
			}
		},
	}
}

// stackPolicy is a stack of the kinds in order, the outermost first, nested by hand.
func stackPolicy(order []string, traced bool) contract.Policy {
	return stackPolicyOf(order, traced, stack)
}

// stackPolicyOf is a stack that build makes of its layers.
func stackPolicyOf(order []string, traced bool, build func([]layer) *contract.Instance) contract.Policy {
	p := contract.Policy{
		Name:    strings.Join(order, "(") + "(fn" + strings.Repeat(")", len(order)),
		Variant: true,
		New:     func(t testing.TB, s contract.Setup) *contract.Instance { return build(layersOf(t, order, s, traced)) },
		Unmet:   retry.ErrDeadline, Full: bulkhead.ErrFull, Hopeless: hopeless,
		Differs: differsInAll(order),
	}
	if slices.Contains(order, "hedge") {
		p.Carried = carried
	}
	for i, name := range order {
		// in is the stack with one layer as it is wanted, and the others plain.
		in := func(t testing.TB, l layer) *contract.Instance {
			layers := layersOf(t, order, contract.Setup{}, false)
			layers[i] = l
			return build(layers)
		}
		p.Callbacks = append(p.Callbacks, kinds[name].callbacks(in)...)
		if queues := kinds[name].queues; queues != nil {
			p.Queues = append(p.Queues, queues(in)...)
		}
	}
	return p
}

func layersOf(t testing.TB, order []string, s contract.Setup, traced bool) (layers []layer) {
	if slices.Contains(order, "hedge") {
		s.Places = 10 // a response that has failed keeps its place until another attempt has succeeded, or a moment longer
	}
	for _, name := range order {
		layers = append(layers, kinds[name].layer(t, s, traced))
	}
	return layers
}

// differsInAll are the rows that differ in every layer: where they differ in some only, the stack has what the row is
// about.
func differsInAll(order []string) map[contract.Row]contract.Difference {
	differs := maps.Clone(kinds[order[0]].policy.Differs)
	for _, name := range order[1:] {
		maps.DeleteFunc(differs, func(r contract.Row, _ contract.Difference) bool {
			_, also := kinds[name].policy.Differs[r]
			return !also
		})
	}
	differs[contract.NilFunc] = contract.Difference{Why: "a stack is given its function through the doors of its layers", Instead: nothing}
	differs[contract.DoneTwice] = contract.Difference{Why: "a stack has no primitive", Instead: noPrimitive}
	differs[contract.NeverDone] = contract.Difference{Why: "a stack has no primitive", Instead: noPrimitive}
	if _, stateless := differs[contract.Late]; stateless {
		differs[contract.Late] = contract.Difference{Why: "no layer has a state that moves on", Instead: neverLate}
	}
	if slices.Contains(order, "hedge") {
		hedgeInStack(order, differs)
	}
	if slices.Contains(order, "failover") {
		failoverInStack(order, differs)
	}
	return differs
}

// stack puts layers, the outermost first, around each other.
func stack(layers []layer) *contract.Instance {
	in := &contract.Instance{Attempts: 1}
	do, wrap, run := caller(call), caller(call), caller(call)
	form := func(next http.RoundTripper) http.RoundTripper { return next }
	retries, open := false, false // open: what fails below has not been tried to the end
	for i, l := range slices.Backward(layers) {
		do, wrap, run = l.do(do), l.wrap(wrap), l.run(run)
		below := form
		form = func(next http.RoundTripper) http.RoundTripper { return l.Transport(below(next)) }
		in.Layers = append(l.Layers, in.Layers...)
		if i > 0 {
			entered := new(atomic.Uint64)
			in.Layers[0].Entered = entered.Load
			do, wrap, run = counting(do, entered), counting(wrap, entered), counting(run, entered)
			uncounted := form
			form = func(next http.RoundTripper) http.RoundTripper { return counter{uncounted(next), entered} }
		}
		in.Recovery = max(in.Recovery, l.Recovery)
		moves := l.Layers[0].Label == failoverLabel
		if l.Attempts > 1 && (open || moves) { // a hedge or a failover that has failed is repeated; and another target tries anew
			in.Attempts *= l.Attempts
		} else {
			in.Attempts = max(in.Attempts, l.Attempts)
		}
		open = open || moves || l.Layers[0].Apart
		if l.State != nil {
			in.State, in.MoveOn = l.State, l.MoveOn
		}
		retries = retries || l.Attempts > 1 && !l.Layers[0].Apart
	}
	in.Transport = form
	transport := contract.TransportDoor(form)
	if retries {
		transport.Differs = transportDiffers
	}
	in.Doors = []contract.Door{{Name: "Do", Call: do}, {Name: "Wrap", Call: wrap}, {Name: "Run", Call: run}, transport}
	return in
}

// counting counts the calls of an inner layer.
func counting(inner caller, entered *atomic.Uint64) caller {
	return func(ctx context.Context, fn contract.Func) (int, error) {
		entered.Add(1)
		return inner(ctx, fn)
	}
}

type counter struct {
	http.RoundTripper
	entered *atomic.Uint64
}

func (c counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.entered.Add(1)
	return c.RoundTripper.RoundTrip(req)
}
