// Package chaos makes things go wrong on purpose, so that it is known before the incident what the policies around a call do:
// errors, delays, silence, panics, broken bodies and connections, at a rate, on a schedule, for those who are meant.
//
//	var faults = chaos.MustNew(chaos.Config{
//		Name: "users", Seed: 1,
//		Faults: []chaos.Fault{
//			{Kind: chaos.Latency, Rate: 0.2, Delay: chaos.Delay{Median: 50 * time.Millisecond, Sigma: 0.8}},
//			{Kind: chaos.Failure, Rate: 0.05, Schedule: chaos.Schedule{From: time.Minute, Ramp: 30 * time.Second}},
//		},
//	})
//
//	faults.Enable() // it does nothing until then
//	defer faults.Disable()
//	user, err := retry.Do(ctx, retries, func(ctx context.Context) (*User, error) {
//		return chaos.Do(ctx, faults, func(ctx context.Context) (*User, error) { return api.User(ctx, id) })
//	})
//
// It has the doors of the policies, [Do], [Wrap], [Injector.Run], [Transport] and [Handler], and two for bytes: [Listener] and
// [Conn]. A [Monkey] takes out whole members of a group, one at a time.
//
// # How it works
//
// Each call has an identity, and the identity and the Seed decide which faults strike it: nothing else is left to chance. The
// identity is the call's number, counted from 0 since Enable; or its key ([WithKey], Config.RequestKey), which is what to use
// where calls run at once, for who comes first is not the same in each run. Of the calls under one key each has a number of its
// own (requests with a RequestKey: that of the attempt), so that a retry does not meet the same fate for ever.
//
// Faults are gone through in the order of the Config. Those that only make a call slow or its body bad let the rest strike too;
// the others end it. Switched off, a call costs one atomic load more, and an exchange is the same to the byte.
//
// # Where it goes
//
// Innermost, in the place of what may fail: under all policies, right around the call. On a server outermost, before what is to
// be proved; at the listener for what only a network does.
//
// # When not to use it
//
// Where a failure costs more than what is learned from it; before there is somebody who watches, and knows
// how to switch it off. It is not a load generator, and no test of whether a result is right.
//
// # What goes wrong otherwise
//
// Chaos without a seed finds a fault that nobody can find again. One that cannot be switched off at once turns into the
// incident: Disable also lets go what is held in delays and black holes. Faults that only ever fail fast prove nothing, because
// what takes systems down is slow. A header without a secret that asks for faults is a gift to strangers.
package chaos
