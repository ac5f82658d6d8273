// Package retry calls a function again when it fails, and knows when not to.
//
// It protects against faults that pass: a dropped connection, a restart, a server that is busy for a moment.
//
//	var retries = retry.MustNew(retry.Config{Name: "payments", AttemptTimeout: 2 * time.Second, Budget: budget})
//
//	user, err := retry.Do(ctx, retries, func(ctx context.Context) (*User, error) {
//		return api.User(ctx, id)
//	})
//
// An HTTP client gets it as a [Transport]:
//
//	client := &http.Client{Transport: retry.Transport(retries, http.DefaultTransport)}
//
// # Where it goes
//
// Outside of a breaker, so that the breaker sees each attempt and the retry meets its refusals (it does not repeat
// them); in one layer only, the one next to what fails. Where layers do stack up they do not multiply: what a retry
// below has tried to the end is not repeated above, in one process (Exhausted() bool on the error) or across HTTP
// ([Handler]).
//
// # When not to use it
//
// For work that must not be done twice (a POST without an idempotency key); for errors that will be the same next
// time (bad input, no permission); when the caller has no time left, which it sees by itself.
//
// # What goes wrong otherwise
//
// Retries without a [Budget] turn an outage into a bigger one: three attempts are three times the load, just when there
// is too much of it. Delays without jitter send all clients back in the same moment. A timeout for the whole call only,
// and none for an attempt (AttemptTimeout), leaves no time for a second attempt.
package retry
