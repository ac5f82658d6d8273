package holdfast

import (
	"context"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
)

// kept is a value on its way to the caller, through a policy that runs fn once and knows of no discard. Should a callback of
// the policy's panic on that way, nobody gets the value.
type kept[T any] struct {
	value T
	there bool
}

// keep takes what fn has returned, and passes it on. The zero value that comes with an error is nothing to discard.
func (k *kept[T]) keep(v T, err error) (T, error) {
	k.value, k.there = v, err == nil || !isZero(v)
	return v, err
}

// drop discards the value, unless it has reached the caller.
func (k *kept[T]) drop(discard func(T)) {
	if k.there {
		discard(k.value)
	}
}

// throughBreaker calls fn under a breaker, for values that have to be closed.
func throughBreaker[T any](ctx context.Context, b *breaker.Breaker, below []layer, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	var k kept[T]
	defer func() { k.drop(discard) }()
	v, err := breaker.Do(ctx, b, func(ctx context.Context) (T, error) { return k.keep(through(ctx, below, fn, discard)) })
	k.there = false
	return v, err
}

// throughBulkhead is throughBreaker for a bulkhead.
func throughBulkhead[T any](ctx context.Context, b *bulkhead.Bulkhead, below []layer, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	var k kept[T]
	defer func() { k.drop(discard) }()
	v, err := bulkhead.Do(ctx, b, func(ctx context.Context) (T, error) { return k.keep(through(ctx, below, fn, discard)) })
	k.there = false
	return v, err
}
