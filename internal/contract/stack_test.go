package contract_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

func TestRetryOverBreaker(t *testing.T) {
	contract.Run(t, stackPolicy("retry(breaker(fn))", retryOver))
}

func TestBreakerOverRetry(t *testing.T) {
	contract.Run(t, stackPolicy("breaker(retry(fn))", breakerOver))
}

// order makes an instance of the two in one order.
type order func(*retry.Policy, *breaker.Keyed[string]) *contract.Instance

func stackPolicy(name string, stack order) contract.Policy {
	// The callbacks of each, in a stack with a plain one of the other.
	callbacks := slices.Concat(
		retryCallbacks(func(t testing.TB, p *retry.Policy) *contract.Instance {
			return stack(p, newBreaker(t, contract.Setup{}, nil))
		}),
		breakerCallbacks(func(t testing.TB, k *breaker.Keyed[string]) *contract.Instance {
			return stack(newRetry(t, contract.Setup{}, nil), k)
		}))
	return contract.Policy{
		Name:    name,
		Variant: true,
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return stack(newRetry(t, s, nil), newBreaker(t, s, nil))
		},
		Callbacks: callbacks,
		Unmet:     retry.ErrDeadline,
		Differs: map[contract.Row]contract.Difference{
			contract.NilFunc:   {Why: "a stack is given its function through the doors of its layers", Instead: nothing},
			contract.DoneTwice: {Why: "a stack has no primitive", Instead: noPrimitive},
			contract.NeverDone: {Why: "a stack has no primitive", Instead: noPrimitive},
		},
	}
}

func nothing(*testing.T, *contract.Cell) {}

// retryOver is retry(breaker(fn)): the breaker sees attempts.
func retryOver(p *retry.Policy, k *breaker.Keyed[string]) *contract.Instance {
	in, entered := stacked(p, k)
	in.Layers = layers(retryLayer(p), breakerLayer(k.Get(contract.Host)), entered)
	in.Transport = func(next http.RoundTripper) http.RoundTripper {
		return retry.Transport(p, count(breaker.Transport(k, next), entered))
	}
	b := k.Get(contract.Host)
	inner := counting(func(ctx context.Context, fn contract.Func) (int, error) { return breaker.Do(ctx, b, fn) }, entered)
	in.Doors = doors(in,
		func(ctx context.Context, fn contract.Func) (int, error) {
			return retry.Do(ctx, p, func(ctx context.Context) (int, error) {
				entered.Add(1)
				return breaker.Do(ctx, b, fn)
			})
		},
		retry.Wrap(p, inner),
		func(ctx context.Context, fn contract.Func) (v int, err error) {
			err = p.Run(ctx, func(ctx context.Context) error {
				entered.Add(1)
				return b.Run(ctx, func(ctx context.Context) (err error) { v, err = fn(ctx); return err })
			})
			return v, err
		})
	return in
}

// breakerOver is breaker(retry(fn)): the breaker sees calls.
func breakerOver(p *retry.Policy, k *breaker.Keyed[string]) *contract.Instance {
	in, entered := stacked(p, k)
	in.Layers = layers(breakerLayer(k.Get(contract.Host)), retryLayer(p), entered)
	in.Transport = func(next http.RoundTripper) http.RoundTripper {
		return breaker.Transport(k, count(retry.Transport(p, next), entered))
	}
	b := k.Get(contract.Host)
	inner := counting(func(ctx context.Context, fn contract.Func) (int, error) { return retry.Do(ctx, p, fn) }, entered)
	in.Doors = doors(in,
		func(ctx context.Context, fn contract.Func) (int, error) {
			return breaker.Do(ctx, b, func(ctx context.Context) (int, error) {
				entered.Add(1)
				return retry.Do(ctx, p, fn)
			})
		},
		breaker.Wrap(b, inner),
		func(ctx context.Context, fn contract.Func) (v int, err error) {
			err = b.Run(ctx, func(ctx context.Context) error {
				entered.Add(1)
				return p.Run(ctx, func(ctx context.Context) (err error) { v, err = fn(ctx); return err })
			})
			return v, err
		})
	return in
}

// stacked is what both orders have in common.
func stacked(p *retry.Policy, k *breaker.Keyed[string]) (*contract.Instance, *atomic.Uint64) {
	in := breakerInstance(k)
	in.Attempts, in.Take = retryInstance(p).Attempts, nil
	return in, new(atomic.Uint64)
}

func layers(outer, inner contract.Layer, entered *atomic.Uint64) []contract.Layer {
	inner.Entered = entered.Load
	return []contract.Layer{outer, inner}
}

type caller = func(context.Context, contract.Func) (int, error)

func doors(in *contract.Instance, do, wrap, run caller) []contract.Door {
	transport := contract.TransportDoor(in.Transport)
	transport.Differs = transportDiffers
	return []contract.Door{{Name: "Do", Call: do}, {Name: "Wrap", Call: wrap}, {Name: "Run", Call: run}, transport}
}

// counting counts the calls of the inner layer.
func counting(inner caller, entered *atomic.Uint64) caller {
	return func(ctx context.Context, fn contract.Func) (int, error) {
		entered.Add(1)
		return inner(ctx, fn)
	}
}

func count(next http.RoundTripper, entered *atomic.Uint64) http.RoundTripper {
	return counter{next, entered}
}

type counter struct {
	http.RoundTripper
	entered *atomic.Uint64
}

func (c counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.entered.Add(1)
	return c.RoundTripper.RoundTrip(req)
}
