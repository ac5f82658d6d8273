package failover

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Config says which targets there are, how they are chosen, and when one is left out. A Config with Targets is usable.
type Config[T any] struct {
	// Name labels errors and telemetry.
	Name string

	// Targets are those to begin with. Required, unless Resolve is set.
	Targets []Target[T]

	// Resolve, if not nil, finds the targets: at the first call, and again by a call when ResolveEvery has passed (that call
	// does not wait for it). If it fails or finds none, the targets stay what they are. See [DNS] and [SRV].
	Resolve      func(context.Context) ([]Target[T], error)
	ResolveEvery time.Duration // default 30 s

	// Balance is how one target of a level is chosen. Default Ordered.
	Balance Balance

	// Overprovisioning says how much of a level may be lost before the next level gets some of its calls: with 1.4, more than
	// 28 %. Default 1.4 (Envoy's).
	Overprovisioning float64

	// MaxTries bounds the targets that one call tries. Default 3.
	MaxTries int

	// AttemptTimeout bounds each attempt, so that a target that hangs leaves time for another. It stops with
	// a success, in a [Transport] with its body. Default: none but the caller's.
	AttemptTimeout time.Duration

	// FailoverIf says after which errors the next target is tried. Default [Movable]: all but the caller's cancellation and
	// backoff.Permanent.
	FailoverIf func(error) bool

	// CountIf says which errors speak against the target. Default [Countable]: all but the caller's cancellation,
	// backoff.Permanent and refusals.
	CountIf func(error) bool

	// Budget, if not nil, is asked for each attempt after the first of a call, unless the one before was refused, and told of
	// each success: a *retry.Budget, shared with retries and hedges.
	Budget Budget

	// ConsecutiveFailures in a row eject a target. Default 5; negative: not heeded.
	ConsecutiveFailures int

	// Window is how far back the two below look. At most 10 min. Default 10 s.
	Window time.Duration

	// MinCalls in the Window are needed to judge a target by them. Default 20.
	MinCalls int

	// FailureMargin ejects a target whose share of failures is above the median of the others' by this much, and by more than
	// chance or their own differences would explain. Default 0.3; negative: not heeded.
	FailureMargin float64

	// SlowFactor ejects a target whose mean latency is so many times the median of the others' of its level, at least 2 ms above
	// it, and by more than chance would explain. Of the time of one call no more than three times what would be slow is heeded, so
	// that single calls that stall do not make a slow target. Default 3; negative: not heeded.
	SlowFactor float64

	// Suspicion, if above zero, passes a target over while calls are under way there and none has succeeded for so long
	// that, by the rhythm of its successes, the odds against that are 10 to the power of Suspicion. 8 is usual. (phi-accrual:
	// Hayashibara et al. 2004; exponential, as Cassandra has it.) After EjectFor it is heard anew, as a call may never end.
	Suspicion float64

	// MaxEjected is the share of the targets that may be ejected at a time for what calls came to, rounded up to whole
	// targets: two of three. Probes are not bound by it. What has failed ConsecutiveFailures times, and may not be ejected
	// for it, is passed over for EjectFor, as long as another is well. Default 0.5.
	MaxEjected float64

	// PanicBelow: while a smaller share of the targets is healthy, and other levels cannot take over, all are used again,
	// as the fault may not be theirs. Ordered heeds it only if none is healthy. Default 0.3; negative: never, calls are
	// refused with [ErrNoTarget] then.
	PanicBelow float64

	// EjectFor is how long a target is ejected the first time. It doubles with each time, up to MaxEjectFor, and is halved
	// again for each such time that it stays healthy. Default 5 s, or MaxEjectFor if that is shorter, and 1 min, or EjectFor if
	// that is longer.
	EjectFor, MaxEjectFor time.Duration

	// GoodProbes in a row bring a target back: probes if there is a Probe; else calls, one at a time, when the ejection is
	// over: those that may be repeated, have no key, and begin at that level; others only if there are none of these for
	// EjectFor. Default 3.
	GoodProbes int

	// SlowStart is how long a target that is back takes to get its full share. Default 10 s; negative: none.
	SlowStart time.Duration

	// Probe, if not nil, looks every ProbeInterval (and up to a tenth more or less) whether a target is well, for ProbeTimeout at
	// most. So many BadProbes in a row eject it. This is work in the background: [Group.Close] ends it.
	// Defaults 5 s, 1 s (at most the interval), 2.
	Probe         func(context.Context, T) error
	ProbeInterval time.Duration
	ProbeTimeout  time.Duration
	BadProbes     int

	// OnChange hears of each change of a target's State: in order, one at a time, never under a lock.
	OnChange func(Event)

	// RequestKey, for a [Transport], says what a request sticks to its target by; empty: nothing. See [WithKey].
	RequestKey func(*http.Request) string

	// RepeatRequest, for a [Transport], says which requests may be sent to another target after they may have reached one.
	// Default: GET, HEAD, OPTIONS, TRACE, PUT, DELETE, and those with an Idempotency-Key.
	RepeatRequest func(*http.Request) bool

	// KeepHost, for a [Transport], leaves the Host of requests as it is. Default: it is the target's.
	KeepHost bool

	// NoAttemptSpans leaves out the spans of attempts, for functions that make their own.
	NoAttemptSpans bool

	TracerProvider trace.TracerProvider // nil: the global one at the time of the call
	MeterProvider  metric.MeterProvider // likewise
	Logger         *slog.Logger         // nil: silent
}

// Budget bounds attempts together with something else: a *retry.Budget is one. It is used by many goroutines at once.
type Budget interface {
	Withdraw() bool // may there be one more attempt?
	Deposit()       // a call succeeded
}

const (
	defaultResolveEvery     = 30 * time.Second
	defaultOverprovisioning = 1.4
	defaultMaxTries         = 3
	defaultConsecutive      = 5
	defaultWindow           = 10 * time.Second
	defaultMinCalls         = 20
	defaultFailureMargin    = 0.3
	defaultSlowFactor       = 3
	defaultMaxEjected       = 0.5
	defaultPanicBelow       = 0.3
	defaultEjectFor         = 5 * time.Second
	defaultMaxEjectFor      = time.Minute
	defaultGoodProbes       = 3
	defaultSlowStart        = 10 * time.Second
	defaultProbeInterval    = 5 * time.Second
	defaultProbeTimeout     = time.Second
	defaultBadProbes        = 2
)

// check reports every field that cannot work.
func (c *Config[T]) check() error {
	f := conf.Check("failover.Config")
	f.Want(len(c.Targets) > 0 || c.Resolve != nil, "Targets", len(c.Targets), "at least one target, or a Resolve that finds them")
	checkTargets(f, "Targets", c.Targets)
	c.checkChoice(f)
	c.checkHealth(f)
	c.checkProbes(f)
	return f.Err()
}

func (c *Config[T]) checkChoice(f *conf.Faults) {
	f.Want(c.Balance < balances, "Balance", uint8(c.Balance), "Ordered, RoundRobin, LeastLoaded or PeakEWMA")
	f.Want(c.Overprovisioning == 0 || finite(c.Overprovisioning) && c.Overprovisioning >= 1, "Overprovisioning", c.Overprovisioning, "at least 1 (default 1.4)")
	f.Want(c.MaxTries >= 0, "MaxTries", c.MaxTries, "at least 1 (default 3)")
	f.Want(!conf.NilIn(c.Budget), "Budget", "a nil pointer", "a budget, or nothing at all")
	f.Want(c.AttemptTimeout >= 0, "AttemptTimeout", c.AttemptTimeout, "above zero, or zero for none")
	f.Want(c.ResolveEvery >= 0, "ResolveEvery", c.ResolveEvery, "above zero (default 30s)")
	f.Want(c.ResolveEvery == 0 || c.Resolve != nil, "ResolveEvery", c.ResolveEvery, "zero without a Resolve")
}

func (c *Config[T]) checkHealth(f *conf.Faults) {
	f.Want(c.Window == 0 || c.Window >= 4*time.Millisecond && c.Window <= maxWindow, "Window", c.Window, "from 4ms to 10m (default 10s)")
	f.Want(c.MinCalls >= 0, "MinCalls", c.MinCalls, "at least 1 (default 20)")
	f.Want(c.FailureMargin <= 1, "FailureMargin", c.FailureMargin, "a share such as 0.3, or below zero for none")
	f.Want(c.SlowFactor <= 0 || finite(c.SlowFactor) && c.SlowFactor > 1, "SlowFactor", c.SlowFactor, "above 1 (default 3), or below zero for none")
	f.Want(c.Suspicion == 0 || finite(c.Suspicion) && c.Suspicion > 0, "Suspicion", c.Suspicion, "above zero, such as 8, or zero for none")
	f.Want(c.MaxEjected >= 0 && c.MaxEjected <= 1, "MaxEjected", c.MaxEjected, "a share above 0 and at most 1 (default 0.5)")
	f.Want(c.PanicBelow <= 1, "PanicBelow", c.PanicBelow, "a share, at most 1 (default 0.3), or below zero for never")
	f.Want(c.EjectFor >= 0, "EjectFor", c.EjectFor, "above zero (default 5s)")
	f.Want(c.MaxEjectFor >= 0, "MaxEjectFor", c.MaxEjectFor, "above zero (default 1m, or EjectFor if that is longer)")
	if c.MaxEjectFor > 0 {
		f.Want(c.EjectFor <= c.MaxEjectFor, "EjectFor", c.EjectFor, "at most MaxEjectFor ("+c.MaxEjectFor.String()+")")
	}
	f.Want(c.GoodProbes >= 0, "GoodProbes", c.GoodProbes, "at least 1 (default 3)")
}

func (c *Config[T]) checkProbes(f *conf.Faults) {
	f.Want(c.ProbeInterval >= 0, "ProbeInterval", c.ProbeInterval, "above zero (default 5s)")
	f.Want(c.ProbeTimeout >= 0, "ProbeTimeout", c.ProbeTimeout, "above zero (default 1s)")
	f.Want(c.BadProbes >= 0, "BadProbes", c.BadProbes, "at least 1 (default 2)")
	if c.Probe != nil {
		return
	}
	set := ""
	switch {
	case c.ProbeInterval != 0:
		set = "ProbeInterval"
	case c.ProbeTimeout != 0:
		set = "ProbeTimeout"
	case c.BadProbes != 0:
		set = "BadProbes"
	}
	f.Want(set == "", "Probe", nil, "a function, as "+set+" is set")
}

// checkTargets reports every target that cannot work.
func checkTargets[T any](f *conf.Faults, field string, ts []Target[T]) {
	names := make(map[string]int, len(ts))
	for i, t := range ts {
		first, double := names[t.Name]
		if !double {
			names[t.Name] = i
		}
		if t.Name != "" && !double && t.Priority >= 0 && finite(t.Weight) && t.Weight >= 0 {
			continue
		}
		at := fmt.Sprintf("%s[%d].", field, i)
		f.Want(t.Name != "", at+"Name", t.Name, "a name")
		f.Want(!double || t.Name == "", at+"Name", t.Name, fmt.Sprintf("another name than that of %s[%d]", field, first))
		f.Want(t.Priority >= 0, at+"Priority", t.Priority, "0 or more")
		f.Want(finite(t.Weight) && t.Weight >= 0, at+"Weight", t.Weight, "above zero (0 is 1)")
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// spelled replaces zero by the documented default. The result is a Config that works, too.
func (c Config[T]) spelled() Config[T] {
	if c.Resolve != nil {
		c.ResolveEvery = conf.Or(c.ResolveEvery, defaultResolveEvery)
	}
	c.Overprovisioning = conf.Or(c.Overprovisioning, defaultOverprovisioning)
	c.MaxTries = conf.Or(c.MaxTries, defaultMaxTries)
	c.ConsecutiveFailures = conf.Or(c.ConsecutiveFailures, defaultConsecutive)
	c.Window = conf.Or(c.Window, defaultWindow)
	c.MinCalls = conf.Or(c.MinCalls, defaultMinCalls)
	c.FailureMargin = conf.Or(c.FailureMargin, defaultFailureMargin)
	c.SlowFactor = conf.Or(c.SlowFactor, defaultSlowFactor)
	c.MaxEjected = conf.Or(c.MaxEjected, defaultMaxEjected)
	c.PanicBelow = conf.Or(c.PanicBelow, defaultPanicBelow)
	c.EjectFor = conf.Or(c.EjectFor, min(defaultEjectFor, conf.Or(c.MaxEjectFor, defaultEjectFor)))
	c.MaxEjectFor = conf.Or(c.MaxEjectFor, max(defaultMaxEjectFor, c.EjectFor))
	c.GoodProbes = conf.Or(c.GoodProbes, defaultGoodProbes)
	c.SlowStart = conf.Or(c.SlowStart, defaultSlowStart)
	if c.Probe != nil {
		c.ProbeInterval = conf.Or(c.ProbeInterval, defaultProbeInterval)
		c.ProbeTimeout = conf.Or(c.ProbeTimeout, min(defaultProbeTimeout, c.ProbeInterval))
		c.BadProbes = conf.Or(c.BadProbes, defaultBadProbes)
	}
	if c.FailoverIf == nil {
		c.FailoverIf = Movable
	}
	if c.CountIf == nil {
		c.CountIf = Countable
	}
	return c
}

// withDefaults replaces zero by the documented default and negative by none.
func (c Config[T]) withDefaults() Config[T] {
	c = c.spelled()
	c.ConsecutiveFailures = max(c.ConsecutiveFailures, 0)
	c.FailureMargin = max(c.FailureMargin, 0)
	c.SlowFactor = max(c.SlowFactor, 0)
	c.SlowStart = max(c.SlowStart, 0)
	return c
}

func (c *Config[T]) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "balance", To: &c.Balance},
		{Key: "overprovisioning", To: &c.Overprovisioning},
		{Key: "max_tries", To: &c.MaxTries},
		{Key: "attempt_timeout", To: &c.AttemptTimeout},
		{Key: "resolve_every", To: &c.ResolveEvery},
		{Key: "consecutive_failures", To: &c.ConsecutiveFailures},
		{Key: "window", To: &c.Window},
		{Key: "min_calls", To: &c.MinCalls},
		{Key: "failure_margin", To: &c.FailureMargin},
		{Key: "slow_factor", To: &c.SlowFactor},
		{Key: "suspicion", To: &c.Suspicion},
		{Key: "max_ejected", To: &c.MaxEjected},
		{Key: "panic_below", To: &c.PanicBelow},
		{Key: "eject_for", To: &c.EjectFor},
		{Key: "max_eject_for", To: &c.MaxEjectFor},
		{Key: "good_probes", To: &c.GoodProbes},
		{Key: "slow_start", To: &c.SlowStart},
		{Key: "probe_interval", To: &c.ProbeInterval},
		{Key: "probe_timeout", To: &c.ProbeTimeout},
		{Key: "bad_probes", To: &c.BadProbes},
		{Key: "keep_host", To: &c.KeepHost},
		{Key: "no_attempt_spans", To: &c.NoAttemptSpans},
	}
}

// UnmarshalJSON reads {"balance": "peak_ewma", "max_tries": 2, "eject_for": "10s", …}. Targets, functions, interfaces and
// providers have no JSON form and stay as they are.
func (c *Config[T]) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c Config[T]) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }
