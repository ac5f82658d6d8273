package holdfast

import (
	"context"
	"reflect"
	"sync"
)

// throughOther calls fn under a policy of which nothing is known but Run: it may run fn never, once, several times, one after
// the other or at once, and may return while fn is running.
func throughOther[T any](ctx context.Context, p Runner, below []layer, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	if f, ok := p.(*fallback[T]); ok {
		return f.do(ctx, func(ctx context.Context) (T, error) { return through(ctx, below, fn, discard) }, discard)
	}
	h := &hand[T]{discard: discard}
	defer h.close()
	err := p.Run(ctx, func(ctx context.Context) error {
		v, err := through(ctx, below, fn, discard)
		h.put(v, err)
		return err
	})
	return h.take(), err
}

// hand has the value of the attempt that counts: the first success, or while there is none the last failure.
type hand[T any] struct {
	discard func(T)

	mu     sync.Mutex
	value  T
	has    bool // something to discard, if it is not returned
	good   bool
	closed bool // the call is over
}

// put takes an attempt's value. The one that does not count any more, or comes too late, is discarded; but the zero value
// that comes with an error is nothing to discard: a policy below may have refused, and no attempt was made.
func (h *hand[T]) put(v T, err error) {
	there := err == nil || h.discard != nil && !isZero(v)
	h.mu.Lock()
	dropped, drop := v, there
	if !h.closed && !h.good {
		dropped, drop = h.value, h.has
		h.value, h.has, h.good = v, there, err == nil
	}
	h.mu.Unlock()
	if drop && h.discard != nil {
		h.discard(dropped)
	}
}

func isZero[T any](v T) bool { return reflect.ValueOf(&v).Elem().IsZero() }

// take returns the value that counts, and ends the call.
func (h *hand[T]) take() T {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed, h.has = true, false
	return h.value
}

// close ends the call where the policy has panicked.
func (h *hand[T]) close() {
	h.mu.Lock()
	v, has := h.value, h.has
	h.closed, h.has = true, false
	h.mu.Unlock()
	if has && h.discard != nil {
		h.discard(v)
	}
}
