// Package attempt says in a context which of several attempts of one call it belongs to: a hedge's, for the function under
// it, and for a failover that is to take another target each time.
package attempt

import "context"

type key struct{}

// numbered is a context.WithValue without its two allocations for a number.
type numbered struct {
	context.Context
	number int
}

func (n *numbered) Value(k any) any {
	if k == (key{}) {
		return n
	}
	return n.Context.Value(k)
}

// With returns a context of the attempt with this number.
func With(ctx context.Context, number int) context.Context { return &numbered{ctx, number} }

// From returns the number of the attempt that ctx belongs to; 1 if nobody has said.
func From(ctx context.Context) int {
	if n, ok := ctx.Value(key{}).(*numbered); ok {
		return n.number
	}
	return 1
}
