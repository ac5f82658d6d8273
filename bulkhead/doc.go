// Package bulkhead bounds how many calls run at a time, so that one thing that is slow or in demand does not take
// everything down with it; and keeps a server that is offered more than it can do working at what it can do.
//
//	var slots = bulkhead.MustNew(bulkhead.Config{Name: "users", Limit: 64, Queue: 128})
//
//	user, err := bulkhead.Do(ctx, slots, func(ctx context.Context) (*User, error) {
//		return api.User(ctx, id)
//	})
//	if errors.Is(err, bulkhead.ErrFull) {
//		// not called: there was no place, and none in time (err is a *bulkhead.FullError, which says why)
//	}
//
// A server puts one around its handler, and so answers 503 at once to what it could not do in time:
//
//	http.ListenAndServe(addr, bulkhead.Handler(slots, mux))
//
// # How it works
//
// There are Limit places. Who finds none waits, if there is a Queue. As long as the queue keeps up, who came first goes
// first. When it has not been empty for a while, and calls wait for long, the order turns: newest first, and what has
// waited too long is refused, for its caller has given up or soon will. What could not be done before its deadline is
// refused at once. What matters less ([WithPriority]) goes last and is refused first. [Adaptive] finds the Limit; Rate
// bounds how many calls begin in a second; [Keyed] gives each tenant or dependency a share of a total.
//
// While places are free a call costs two atomic operations, on a cache line of its core's own; a refusal costs less.
//
// # Where it goes
//
// Inside of a retry and a breaker, around the call itself: a refusal is then neither repeated nor counted against the
// dependency. Around a handler, outside of everything that costs.
//
// # How to choose the numbers
//
// Limit: by Little's law, the calls a second that you want times how long one takes, and half as much again. For a
// server: what it can work on at once before it becomes slower. Queue: a few times Limit, to even out bursts; it does not
// make anything faster, and 0 is a fine answer where callers can go elsewhere.
//
// # When not to use it
//
// As a lock, or as a connection pool: those have their own. Around a pool it is of use as a bound on who waits for it.
//
// # What goes wrong otherwise
//
// A semaphore without a queue refuses a sixth of what it could have done at 90 % load; one with a first-in first-out queue
// serves, once overloaded, only callers that have given up already. Experiment E12 has the numbers. One limit for many
// dependencies lets the one that hangs have it all.
package bulkhead
