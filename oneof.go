package holdfast

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// OneOf returns a group of targets as a policy of a stack: what is below runs with one of them, which [Target] finds in the
// context. In [Stack.Transport] a group of *url.URL says where requests go.
func OneOf[T any](g *failover.Group[T]) Runner { return &oneOf[T]{g} }

type oneOf[T any] struct{ group *failover.Group[T] }

// targetKey is for the targets of one type.
type targetKey[T any] struct{}

// Target returns the target that a group of that type, somewhere above in the stack, has chosen.
func Target[T any](ctx context.Context) (target T, ok bool) {
	target, ok = ctx.Value(targetKey[T]{}).(T)
	return target, ok
}

// Run implements Runner.
func (o *oneOf[T]) Run(ctx context.Context, fn func(context.Context) error) error {
	if o.group == nil { // nobody has chosen
		return fn(ctx)
	}
	return o.group.Run(ctx, func(ctx context.Context, target T) error {
		return fn(context.WithValue(ctx, targetKey[T]{}, target))
	})
}

// Transport implements Transporter.
func (o *oneOf[T]) Transport(next http.RoundTripper) http.RoundTripper {
	if urls, ok := any(o.group).(*failover.Group[*url.URL]); ok {
		return failover.Transport(urls, next)
	}
	return &runnerTransport{httpx.OverNext(next), o}
}

// Reconfigure changes what the group goes by.
func (o *oneOf[T]) Reconfigure(c failover.Config[T]) error { return o.group.Reconfigure(c) }

// Close ends the group's work in the background.
func (o *oneOf[T]) Close() error { return o.group.Close() }

// String is for Stack.String.
func (o *oneOf[T]) String() string {
	if o.group == nil {
		return "failover(off)"
	}
	c := o.group.Config()
	return fmt.Sprintf("failover(%d of %d, %v)", min(c.MaxTries, len(c.Targets)), len(c.Targets), c.Balance)
}

// tries is how many attempts the group makes for one call, and how long each may take.
func (o *oneOf[T]) tries() (attempts int, each time.Duration) {
	c := o.group.Config()
	return max(c.MaxTries, 1), c.AttemptTimeout
}

// size is how many targets there are.
func (o *oneOf[T]) size() int { return len(o.group.Config().Targets) }

func (o *oneOf[T]) nameOf() string { return o.group.Config().Name }

// several is a group of targets, whatever their type.
type several interface {
	tries() (attempts int, each time.Duration)
	size() int
	nameOf() string
}
