package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// The attributes. Their values come from small closed sets: never an attempt number on a metric, a URL or the
// text of an error.
const (
	policyName      = attribute.Key("holdfast.policy.name")
	policyType      = attribute.Key("holdfast.policy.type")
	callAttempts    = attribute.Key("holdfast.call.attempts")
	callOutcome     = attribute.Key("holdfast.call.outcome")
	attemptNumber   = attribute.Key("holdfast.attempt.number")
	attemptKind     = attribute.Key("holdfast.attempt.kind")
	attemptDelay    = attribute.Key("holdfast.attempt.delay") // seconds
	attemptOutcome  = attribute.Key("holdfast.attempt.outcome")
	breakerState    = attribute.Key("holdfast.breaker.state")
	hedgeWinner     = attribute.Key("holdfast.hedge.winner")
	target          = attribute.Key("holdfast.target")
	targetState     = attribute.Key("holdfast.target.state")
	failoverTarget  = attribute.Key("holdfast.failover.target")
	waitDuration    = attribute.Key("holdfast.bulkhead.wait_duration") // seconds
	rejectReason    = attribute.Key("holdfast.reject.reason")
	suppressReason  = attribute.Key("holdfast.suppress.reason")
	errorType       = attribute.Key("error.type")
	chaosFault      = attribute.Key("holdfast.chaos.fault")
	httpResendCount = attribute.Key("http.request.resend_count")
)

// Kind is why an attempt was made.
func Kind(k AttemptKind) attribute.KeyValue { return attemptKind.String(k.String()) }

// AttemptOutcome is how an attempt ended.
func AttemptOutcome(o Outcome) attribute.KeyValue { return attemptOutcome.String(o.String()) }

// BreakerState is a state of a breaker, in the words of its String method.
func BreakerState(state string) attribute.KeyValue { return breakerState.String(state) }

// RejectReason is why a call was refused.
func RejectReason(reason string) attribute.KeyValue { return rejectReason.String(reason) }

// HedgeWinner is the number of the attempt that won a hedged call.
func HedgeWinner(number int) attribute.KeyValue { return hedgeWinner.Int(number) }

// Target is the name of the target that an attempt went to, or that a metric is about.
func Target(name string) attribute.KeyValue { return target.String(name) }

// TargetState is a state of a target, in the words of its String method.
func TargetState(state string) attribute.KeyValue { return targetState.String(state) }

// FailoverTarget is the name of the target that answered a call.
func FailoverTarget(name string) attribute.KeyValue { return failoverTarget.String(name) }

// Waited is how long a call waited for a place.
func Waited(d time.Duration) attribute.KeyValue { return waitDuration.Float64(d.Seconds()) }

// SuppressReason is why a retry was not made.
func SuppressReason(reason string) attribute.KeyValue { return suppressReason.String(reason) }

// ChaosFault is the name of the fault that was made on purpose, or the names of several with commas between them.
func ChaosFault(names string) attribute.KeyValue { return chaosFault.String(names) }

// ResendCount is how often an HTTP request was sent before this attempt.
func ResendCount(n int) attribute.KeyValue { return httpResendCount.Int(n) }

// Outcome is how a call or an attempt ended.
type Outcome uint8

// The outcomes. Lost is of attempts only, Refused and Ignored of calls only. A retry's call is
// a Timeout when its caller's deadline ended it; to a breaker that is a Failure like any other.
const (
	Success Outcome = iota
	Failure
	Timeout
	Canceled
	Lost
	Refused
	Ignored // it says nothing about the dependency, and nobody cancelled it
)

func (o Outcome) String() string {
	return [...]string{"success", "failure", "timeout", "canceled", "lost", "refused", "ignored"}[o]
}

// AttemptKind is why an attempt was made.
type AttemptKind uint8

// The kinds of attempts.
const (
	Initial AttemptKind = iota
	Retry
	Hedge
	Failover
)

func (k AttemptKind) String() string {
	return [...]string{"initial", "retry", "hedge", "failover"}[k]
}
