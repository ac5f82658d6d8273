package bulkhead

import "context"

// Priority says how much a call matters. Under pressure those that matter less are refused first: who waits is served
// by priority, and pushes out who matters less when the queue is full. Where there is room, all are served.
type Priority int8

// The priorities. A call is Normal if nobody says otherwise.
const (
	Sheddable Priority = iota - 1 // nobody waits for it now: prefetches, batch jobs that come again
	Normal
	Critical // the service is of no use without it
)

const priorities = 3

func (p Priority) String() string {
	return [priorities]string{"sheddable", "normal", "critical"}[p.class()]
}

// class is the priority as an index: the lowest is 0. A number that is none of the three counts as the nearest.
func (p Priority) class() int { return int(min(max(p, Sheddable), Critical) - Sheddable) }

type priorityKey struct{}

// WithPriority returns a context under which calls have a priority: all that is done on behalf of one request has
// that request's. A [Transport] sends it along, a [Handler] picks it up on the other side.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityFrom returns the priority of calls under ctx.
func PriorityFrom(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}
