// Package holdfast keeps a service working while the things it calls fail.
//
// The policies live in packages of their own: [github.com/holdfast-go/holdfast/retry],
// [github.com/holdfast-go/holdfast/breaker], [github.com/holdfast-go/holdfast/bulkhead],
// [github.com/holdfast-go/holdfast/hedge] and [github.com/holdfast-go/holdfast/failover].
// None of them imports another, and any of them wraps any function call.
package holdfast
