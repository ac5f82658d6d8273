// Package telemetry is how every policy tells OpenTelemetry what it did: spans, one histogram, and metrics
// that are observed rather than recorded.
//
// A policy holds a [Scope]. On the hot path it asks [Scope.Active], which costs a few nanoseconds and no
// allocation while nothing is installed, and begins to say true with the call after an SDK is set. Only then
// does it make a [Call] and its [Attempt]s. Its counts are its own atomics, whether or not anybody looks; it
// shows them as a [Source] when a reader collects, and [Attach] lists it for that, weakly: a policy that is
// dropped is neither kept alive nor reported.
package telemetry

// ScopeName is the name of the one instrumentation scope of all policies.
const ScopeName = "github.com/holdfast-go/holdfast"

// Version is the version of that scope.
const Version = "0.1.0"
