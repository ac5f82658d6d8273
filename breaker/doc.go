// Package breaker stops calling a dependency that keeps failing, and finds out when it is back.
//
// It protects the caller, which gets an answer at once rather than a timeout, and the dependency, which gets the
// quiet it needs to come back.
//
//	var users = breaker.MustNew(breaker.Config{Name: "users", SlowAfter: time.Second})
//
//	user, err := breaker.Do(ctx, users, func(ctx context.Context) (*User, error) {
//		return api.User(ctx, id)
//	})
//	if errors.Is(err, breaker.ErrOpen) {
//		// not called: serve what is cached, or say when to come back (err is a *breaker.OpenError)
//	}
//
// An HTTP client gets one for each host, as a [Transport]:
//
//	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{})
//	client := &http.Client{Transport: breaker.Transport(hosts, http.DefaultTransport)}
//
// # How it works
//
// Closed, it lets calls pass and judges them. It opens after some failures in a row, or when too large a share of the
// calls in a rolling window failed or were slow, those that hang and have not come back included. Open, it refuses
// calls for a cool-down, which doubles each time a recovery fails. Then it is half-open: the next call is a probe. A
// good one closes it, a bad one opens it again.
//
// A success through a closed breaker costs an atomic add and a look at the clock, on each core; a refusal costs less.
//
// # Where it goes
//
// Inside of a retry, around the call itself: it then sees attempts, and the retry does not repeat its refusals.
// One for each thing that fails on its own: a host, a shard, a region ([Keyed]); never one for all.
//
// # When not to use it
//
// Around something local that fails for reasons of its own input; and where there is only one dependency and nothing
// else to do without it, so that refusing is no better than trying.
//
// # What goes wrong otherwise
//
// Counting the caller's cancellations as failures opens the breaker of a healthy dependency; so do errors of the input
// (not found, no permission), which Classify is for. A breaker around a retry sees one failure where three were made,
// and opens late.
package breaker
