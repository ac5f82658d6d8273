// Package deadline has the context of one attempt: the caller's context with a time limit of its own, for calls that
// nearly always end long before it.
//
//	ctx := deadline.New(parent, time.Now().Add(250*time.Millisecond))
//	defer ctx.Cancel() // after Release it does nothing
//	v, err := fn(ctx)
//	if err == nil {
//		ctx.Release() // v may hold a body or rows that are still read under ctx
//	}
//
// Where several attempts run at once there need not be a limit, and those that lose are told why:
//
//	var lost = deadline.NewCause(ErrLost) // once
//
//	ctx := deadline.New(parent, time.Time{}) // one for each attempt
//	ctx.CancelCause(lost)                    // another was faster
//
// It differs from [context.WithTimeout] in three ways:
//
//   - Nothing is armed until somebody asks for Done. Work that only looks at Err or Deadline costs one allocation
//     and no timer.
//   - It can be released: the limit stops, the context goes on with its parent, and when nobody can see it any more
//     its registration with the parent goes away by itself. With package context somebody has to call cancel, which
//     would end the body that the caller is still reading; without cancel every call leaves an entry in the parent.
//   - It says whether it was its own limit that ended it ([Context.Expired]).
//
// How it is made: a [Context] is 64 bytes and nothing else until Done is asked for. Until then it is not registered with
// anybody, and how it ends is a pointer to one of a few links that all contexts share. Then it gets a channel and a link of
// its own. The link follows a leader, which is the link of a Context above it, or the hub of a parent of another kind: one
// registration with that parent for all who follow it. At Release the link gives its channel to the leader and goes. See
// link.go, hub.go and channels.go.
//
// Who is sure to end an attempt's context, as a Transport is with the response's body, needs no Release, and makes a [Bounded].
//
// Do not use it where context.WithTimeout will do: where the context ends with the function that made it.
package deadline
