package holdfast

import (
	"context"
	"sync"
)

// throughOther calls fn under a policy of which nothing is known but Run: it may run fn never, once, several times, one after
// the other or at once, and may return while fn is running.
func throughOther[T any](ctx context.Context, p Runner, below []layer, fn func(context.Context) (T, error), discard func(T)) (T, error) {
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
	has    bool
	good   bool
	closed bool // the call is over
}

// put takes an attempt's value. The one that does not count any more, or comes too late, is discarded.
func (h *hand[T]) put(v T, err error) {
	h.mu.Lock()
	dropped, drop := v, true
	if !h.closed && !h.good {
		dropped, drop = h.value, h.has
		h.value, h.has, h.good = v, true, err == nil
	}
	h.mu.Unlock()
	if drop && h.discard != nil {
		h.discard(dropped)
	}
}

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
