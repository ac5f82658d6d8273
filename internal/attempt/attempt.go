// Package attempt says in a context which of several attempts of one call it belongs to: a hedge's, for the function under
// it, and for a failover that is to take another target each time.
package attempt

import "context"

type key struct{}

// Numbered is a context of an attempt. It is a context.WithValue without its two allocations for a number; who has a place
// for it uses Init, and needs none at all.
type Numbered struct {
	context.Context
	number int
	shared *Shared
}

// Init makes n a context of the attempt with this number. s is what all attempts of its call share; it may be nil.
func (n *Numbered) Init(ctx context.Context, number int, s *Shared) {
	n.Context, n.number, n.shared = ctx, number, s
}

// Value implements context.Context.
func (n *Numbered) Value(k any) any {
	if k == (key{}) {
		return n
	}
	return n.Context.Value(k)
}

// AfterFunc is what package context looks for on parents that are not its own: without it, a context derived from this
// one costs a goroutine where the caller's is not package context's either.
func (n *Numbered) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(n.Context, f) }

// EndsWith says whose end it has: it is a deadline.Ender.
func (n *Numbered) EndsWith() context.Context { return n.Context }

// With returns a context of the attempt with this number.
func With(ctx context.Context, number int) context.Context {
	return &Numbered{Context: ctx, number: number}
}

// From returns the number of the attempt that ctx belongs to; 1 if nobody has said.
func From(ctx context.Context) int {
	if n, ok := ctx.Value(key{}).(*Numbered); ok {
		return n.number
	}
	return 1
}
