// Package failover sends each call to one of several targets that can do it, and to another if that fails: replicas of a
// database, regions of a service, a primary and its standby.
//
//	var users = failover.MustNew(failover.Config[*sql.DB]{
//		Name:    "users-db",
//		Balance: failover.PeakEWMA,
//		Targets: []failover.Target[*sql.DB]{
//			{Name: "replica-1", Value: replica1},
//			{Name: "replica-2", Value: replica2},
//			{Name: "primary", Value: primary, Priority: 1},
//		},
//	})
//
//	user, err := failover.Do(ctx, users, func(ctx context.Context, db *sql.DB) (*User, error) {
//		return userByID(ctx, db, id)
//	})
//
// An HTTP client gets it as a [Transport], which rewrites where requests go.
//
// # How it works
//
// A target is chosen by [Balance] among the healthy ones of its level; where too few of a level are healthy, the next level
// gets a part of the calls ([Target.Priority]). A call that fails, in a way that another target may do better, goes to
// another at once; never to the same one again. Calls with a key stick to a target ([WithKey]).
//
// Whether a target is well is learned from the calls: failures in a row, and from time to time the share of failures and the
// latency, each against the median of the other targets. One that is not is ejected: left alone for a while, which grows with
// each time. Then single calls find out whether it is back (or a Probe does, which needs no calls), and it gets its share
// again slowly. So a target that goes up and down costs no more than one ejection in each such while.
//
// When all targets are down, each call still tries one of them, so that the first that is back is noticed; but not all of
// them, so that they have no more to bear than the calls.
//
// # Where it goes
//
// Under a retry, which waits and tries the group again; under a hedge, whose second attempt then goes to another target. Over
// what guards a single target: a breaker or a bulkhead for each, whose refusals move a call on at once, and the attempt's
// timeout.
//
// # When not to use it
//
// Where targets do not have the same data, or a write to one is not seen in the other. Where a proxy or a client library
// does the same already: two that eject targets are one too many. For a plain fallback to a default there is [First].
//
// # What goes wrong otherwise
//
// A client that tries the dead primary first with each call pays its timeout each time. One that compares targets with their
// mean sees nothing when half of them are dead. One that returns to the primary as soon as it answers goes to and fro with
// it. One that tries all that is dead, for each call, makes an outage worse.
package failover
