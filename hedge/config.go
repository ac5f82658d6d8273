package hedge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Config says when to hedge, and how much. The zero Config is usable. [Policy.Reconfigure] changes it.
type Config struct {
	// Name labels errors and telemetry.
	Name string

	// MaxHedges is how many attempts may be made beside the first. Default 1, at most 10.
	MaxHedges int

	// Delay is how long to wait for an attempt before the next one. Default: learned, see Quantile. Negative: none, all
	// attempts start at once. MaxExtraLoad bounds what comes of it all the same: where many more calls than that are
	// slower than a fixed Delay, they get fewer attempts than it allows, and who wants all of them sets it below zero.
	Delay time.Duration

	// Quantile of the recent latency is the delay, where Delay does not say: 0.95 hedges the slowest twentieth of calls.
	// At least 0.5. Default 0.95; it is never below 1 - MaxExtraLoad.
	Quantile float64

	// FirstDelay is the delay while there are not enough calls in Memory to learn from: 2 / (1 - Quantile), which is 40 by
	// default, and 200 at the most. Default 100 ms.
	FirstDelay time.Duration

	// MinDelay is the least that a learned delay can be. Default 1 ms.
	MinDelay time.Duration

	// Memory is how far back latencies are learned from. Default 30 s.
	Memory time.Duration

	// MaxExtraLoad bounds the attempts beside the first, as a share of the calls: 0.05 is at most 5 % more. Where more
	// would be wanted, a learned delay grows; and when calls become slow all together, which a hedge does not help, there are
	// fewer. What becomes slow by itself should have a policy of its own.
	// Default 0.1; negative: no bound.
	MaxExtraLoad float64

	// Budget, if not nil, is asked for each hedge and told of each success: a *retry.Budget, shared with retries of
	// the same dependency. In a stack with such a retry each success is told of twice: then halve the Budget's Ratio.
	Budget Budget

	// HedgeIf says after which errors the next attempt starts at once, if there may be one. Default: Hedgeable, all but the
	// caller's cancellation, backoff.Permanent, refusals, what is exhausted below, what asks for a wait (Retry-After), and
	// HTTP statuses that no repeat can mend. In a [Transport] it sees errors and the statuses that are failures there, as a
	// *StatusError; not those that are answers. It may be called several times at once.
	HedgeIf func(error) bool

	// HedgeRequest says which requests of a [Transport] may be sent twice at once. Default: GET, HEAD, OPTIONS, TRACE, and
	// those with an Idempotency-Key or X-Idempotency-Key. It may be called several times at once.
	HedgeRequest func(*http.Request) bool

	// NoAttemptSpans leaves out the spans of attempts, for functions that make their own.
	NoAttemptSpans bool

	TracerProvider trace.TracerProvider // nil: the global one at the time of the call
	MeterProvider  metric.MeterProvider // likewise
	Logger         *slog.Logger         // nil: silent
}

// Budget bounds hedges together with something else: a *retry.Budget is one. It is used by many goroutines at once.
type Budget interface {
	Withdraw() bool // may there be one more attempt?
	Deposit()       // a call succeeded
}

const (
	defaultMaxHedges  = 1
	mostHedges        = 10
	defaultQuantile   = 0.95
	defaultFirstDelay = 100 * time.Millisecond
	defaultMinDelay   = time.Millisecond
	defaultMemory     = 30 * time.Second
	defaultExtraLoad  = 0.1
	leastExtraLoad    = 0.0001
)

// check reports every field that cannot work.
func (c *Config) check(f *conf.Faults) {
	f.Want(c.MaxHedges >= 0 && c.MaxHedges <= mostHedges, "MaxHedges", c.MaxHedges, "at least 1 and at most 10 (default 1)")
	f.Want(c.Quantile == 0 || c.Quantile >= 0.5 && c.Quantile < 1, "Quantile", c.Quantile, "at least 0.5 and below 1 (default 0.95)")
	f.Want(c.FirstDelay >= 0, "FirstDelay", c.FirstDelay, "above zero (default 100ms)")
	f.Want(c.MinDelay >= 0, "MinDelay", c.MinDelay, "above zero (default 1ms)")
	f.Want(c.Memory == 0 || c.Memory >= time.Second, "Memory", c.Memory, "at least 1s (default 30s)")
	f.Want(!conf.NilIn(c.Budget), "Budget", "a nil pointer", "a budget, or nothing at all")
	f.Want(c.MaxExtraLoad <= 0 || c.MaxExtraLoad >= leastExtraLoad && c.MaxExtraLoad <= mostHedges, "MaxExtraLoad", c.MaxExtraLoad, "a share such as 0.05, at least 0.0001, or below zero for no bound (default 0.1)")
}

func (c Config) withDefaults() Config {
	c.MaxHedges = conf.Or(c.MaxHedges, defaultMaxHedges)
	c.Quantile = conf.Or(c.Quantile, defaultQuantile)
	c.FirstDelay = conf.Or(c.FirstDelay, defaultFirstDelay)
	c.MinDelay = conf.Or(c.MinDelay, defaultMinDelay)
	c.Memory = conf.Or(c.Memory, defaultMemory)
	c.MaxExtraLoad = conf.Or(c.MaxExtraLoad, defaultExtraLoad)
	if c.MaxExtraLoad > 0 {
		c.Quantile = max(c.Quantile, 1-c.MaxExtraLoad)
	}
	if c.HedgeRequest == nil {
		c.HedgeRequest = hedgeRequest
	}
	if c.HedgeIf == nil {
		c.HedgeIf = Hedgeable
	}
	return c
}

// Hedgeable is the default HedgeIf, for one of one's own to build on. What asks for a wait gets it: the error of a Retry-After
// starts no attempt at once.
func Hedgeable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || failure.Refused(err) || failure.Exhausted(err) {
		return false
	}
	if _, permanent := failure.Find[*backoff.PermanentError](err); permanent {
		return false
	}
	if _, asked := failure.RetryAfter(err); asked {
		return false
	}
	if _, contested := failure.Find[*contestedError](err); contested {
		return false
	}
	if status, ok := failure.Find[*StatusError](err); ok {
		return httpx.Retryable(status.StatusCode)
	}
	return !httpx.Permanent(err)
}

func (c *Config) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "max_hedges", To: &c.MaxHedges},
		{Key: "delay", To: &c.Delay},
		{Key: "quantile", To: &c.Quantile},
		{Key: "first_delay", To: &c.FirstDelay},
		{Key: "min_delay", To: &c.MinDelay},
		{Key: "memory", To: &c.Memory},
		{Key: "max_extra_load", To: &c.MaxExtraLoad},
		{Key: "no_attempt_spans", To: &c.NoAttemptSpans},
	}
}

// UnmarshalJSON reads {"max_hedges": 2, "delay": "20ms", …}. Fields that hold functions, interfaces or providers have no
// JSON form and stay as they are.
func (c *Config) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c Config) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }
