// Package holdfast keeps a service working while the things it calls fail.
//
// The policies live in packages of their own: [github.com/holdfast-go/holdfast/retry],
// [github.com/holdfast-go/holdfast/breaker], [github.com/holdfast-go/holdfast/bulkhead],
// [github.com/holdfast-go/holdfast/hedge] and [github.com/holdfast-go/holdfast/failover].
// None of them imports another, and any of them wraps any function call.
//
// This package is where several are seen at once. A [Stack] is policies around one another, put together at run time:
//
//	stack := holdfast.MustStack(retries, users, slots).Named("users") // the outermost first
//
//	user, err := holdfast.Do(ctx, stack, func(ctx context.Context) (*User, error) { return api.User(ctx, id) })
//
// It describes itself, in a line ([Stack.String]), as a picture ([Stack.Mermaid]), and by what one call can lead to in the
// worst case ([Stack.Describe]); and [Stack.Check] finds what does harm in it. [Load] reads stacks from a
// document, and a [Registry] from a file that may change while they run.
package holdfast
