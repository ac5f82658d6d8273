package breaker

import (
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Config says when to open, and when to try again. The zero Config is usable.
type Config struct {
	// Name labels errors and telemetry.
	Name string

	// ConsecutiveFailures opens the breaker after so many failures in a row, however far apart: also where there are
	// too few calls for a ratio. Default 5; negative: never.
	ConsecutiveFailures int

	// FailureRatio opens it when so large a share of the calls in Window failed. Default 0.5; negative: never.
	FailureRatio float64

	// SlowRatio opens it when so large a share of the calls in Window took longer than SlowAfter, those still running
	// included. Default 0.5; negative: never. It is off while SlowAfter is 0.
	SlowRatio float64

	// SlowAfter is from when on a call is slow. Default: never. A call that is still running is seen as slow between
	// SlowAfter and 1.25 times SlowAfter. A slow probe counts as failed. It doubles what a success costs: each call is
	// timed and counted while it runs.
	SlowAfter time.Duration

	// MinCalls is from how many calls in Window on the ratios count. Default 20.
	MinCalls int

	// Window is how far back the ratios look. It rolls in ten steps. Default 10 s.
	Window time.Duration

	// OpenFor is the first cool-down: how long calls are refused before a probe is let through. It doubles each time
	// a probe fails, up to MaxOpenFor, less a jitter of up to a fifth, so that many clients of one dependency do not
	// probe in step. Default 5 s and 1 m, or OpenFor if that is longer.
	OpenFor, MaxOpenFor time.Duration

	// Probes is how many good probes in a row close the breaker, and how many are admitted at a time. Default 1.
	Probes int

	// ProbeTimeout is how long a probe may be silent before it counts as failed. Default 30 s.
	ProbeTimeout time.Duration

	// Classify says what an error means. Default: [DefaultClassify], which one of your own should nearly always fall back
	// on. It is not asked about nil, which is a Success, nor after the caller cancelled, which is Ignored.
	Classify func(error) Outcome

	// OnStateChange is told of each change of state: in order, one at a time, never under a lock, in the goroutine of
	// a caller. A panic in it reaches that caller. It may call the breaker's methods.
	OnStateChange func(Event)

	// NoSpans leaves out the span of each call, for functions that make one of their own.
	NoSpans bool

	TracerProvider trace.TracerProvider // nil: the global one at the time of the call
	MeterProvider  metric.MeterProvider // likewise
	Logger         *slog.Logger         // nil: silent
}

const (
	defaultConsecutive  = 5
	defaultRatio        = 0.5
	defaultMinCalls     = 20
	defaultWindow       = 10 * time.Second
	defaultOpenFor      = 5 * time.Second
	defaultMaxOpenFor   = time.Minute
	defaultProbes       = 1
	defaultProbeTimeout = 30 * time.Second

	shortest = time.Millisecond // of windows and cool-downs: below it a bucket would be shorter than a clock's step
	maxCount = 1 << 30
)

// check reports every field that cannot work.
func (c *Config) check(f *conf.Faults) {
	f.Want(c.ConsecutiveFailures <= maxCount, "ConsecutiveFailures", c.ConsecutiveFailures, "at most 2^30, or below zero for never (default 5)")
	f.Want(c.FailureRatio <= 1 && !math.IsNaN(c.FailureRatio), "FailureRatio", c.FailureRatio, "above 0 and at most 1, or below zero for never (default 0.5)")
	f.Want(c.SlowRatio <= 1 && !math.IsNaN(c.SlowRatio), "SlowRatio", c.SlowRatio, "above 0 and at most 1, or below zero for never (default 0.5)")
	f.Want(c.SlowAfter == 0 || c.SlowAfter >= time.Microsecond, "SlowAfter", c.SlowAfter, "at least 1µs, or zero for never")
	f.Want(c.MinCalls >= 0 && c.MinCalls <= maxCount, "MinCalls", c.MinCalls, "at least 1 and at most 2^30 (default 20)")
	f.Want(c.Window == 0 || c.Window >= 10*shortest, "Window", c.Window, "at least 10ms (default 10s)")
	f.Want(c.OpenFor == 0 || c.OpenFor >= shortest, "OpenFor", c.OpenFor, "at least 1ms (default 5s)")
	f.Want(c.MaxOpenFor == 0 || c.MaxOpenFor >= shortest, "MaxOpenFor", c.MaxOpenFor, "at least 1ms (default 1m)")
	f.Want(c.MaxOpenFor == 0 || c.MaxOpenFor >= conf.Or(c.OpenFor, defaultOpenFor), "MaxOpenFor", c.MaxOpenFor,
		"at least OpenFor ("+conf.Or(c.OpenFor, defaultOpenFor).String()+")")
	f.Want(c.Probes >= 0 && c.Probes <= maxCount, "Probes", c.Probes, "at least 1 and at most 2^30 (default 1)")
	f.Want(c.ProbeTimeout == 0 || c.ProbeTimeout >= shortest, "ProbeTimeout", c.ProbeTimeout, "at least 1ms (default 30s)")
}

// settings are a checked Config with its defaults, as the breaker uses it. They are immutable: Reconfigure puts others in
// their place. The breakers of a keyed set share one.
type settings struct {
	consecutive             uint32 // 0: never
	failureRatio, slowRatio float64
	minCalls                uint64
	bucket, window          time.Duration
	slowAfter               time.Duration
	openFor, maxOpenFor     time.Duration
	probes                  int
	probeTimeout            time.Duration
	classify                func(error) Outcome
	onStateChange           func(Event)
	spans                   bool
	scope                   *telemetry.Scope
	start                   time.Time // what all times inside are counted from
}

// never is a ratio that is not reached.
const never = 2

func newSettings(c Config) *settings {
	s := c.settings()
	s.scope = telemetry.NewScope(telemetry.Options{
		Type: "breaker", Name: c.Name,
		TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger,
	})
	s.start = time.Now()
	return s
}

// successor is what takes the place of s: another Config in the same place, by the same clock.
func (s *settings) successor(c Config) *settings {
	next := c.settings()
	next.scope, next.start = s.scope, s.start
	return next
}

func (c Config) settings() *settings {
	s := &settings{
		consecutive:   uint32(conf.OrNone(c.ConsecutiveFailures, defaultConsecutive)),
		failureRatio:  conf.Or(conf.OrNone(c.FailureRatio, defaultRatio), never),
		slowRatio:     conf.Or(conf.OrNone(c.SlowRatio, defaultRatio), never),
		minCalls:      uint64(conf.Or(c.MinCalls, defaultMinCalls)),
		window:        conf.Or(c.Window, defaultWindow),
		slowAfter:     c.SlowAfter,
		openFor:       conf.Or(c.OpenFor, defaultOpenFor),
		maxOpenFor:    conf.Or(c.MaxOpenFor, max(defaultMaxOpenFor, c.OpenFor)),
		probes:        conf.Or(c.Probes, defaultProbes),
		probeTimeout:  conf.Or(c.ProbeTimeout, defaultProbeTimeout),
		classify:      c.Classify,
		onStateChange: c.OnStateChange,
		spans:         !c.NoSpans,
	}
	s.bucket = s.window / buckets
	if s.classify == nil {
		s.classify = DefaultClassify
	}
	if s.slowRatio == never {
		s.slowAfter = 0
	}
	return s
}

// config is the Config that would lead to these settings.
func (s *settings) config() Config {
	orNever := func(ratio float64) float64 {
		if ratio == never {
			return -1
		}
		return ratio
	}
	return Config{
		ConsecutiveFailures: conf.Or(int(s.consecutive), -1),
		FailureRatio:        orNever(s.failureRatio),
		SlowRatio:           orNever(s.slowRatio),
		SlowAfter:           s.slowAfter,
		MinCalls:            int(s.minCalls),
		Window:              s.window,
		OpenFor:             s.openFor,
		MaxOpenFor:          s.maxOpenFor,
		Probes:              s.probes,
		ProbeTimeout:        s.probeTimeout,
		Classify:            s.classify,
		OnStateChange:       s.onStateChange,
		NoSpans:             !s.spans,
	}
}

// now is the time since the settings were made. It reads one clock where time.Now reads two.
func (s *settings) now() time.Duration { return time.Since(s.start) }

// wall turns such a time into one for people.
func (s *settings) wall(t time.Duration) time.Time { return s.start.Add(t) }

func (b *Breaker) now() time.Duration { return b.set.Load().now() }

func (b *Breaker) wall(t time.Duration) time.Time { return b.set.Load().wall(t) }

func (c *Config) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "consecutive_failures", To: &c.ConsecutiveFailures},
		{Key: "failure_ratio", To: &c.FailureRatio},
		{Key: "slow_ratio", To: &c.SlowRatio},
		{Key: "slow_after", To: &c.SlowAfter},
		{Key: "min_calls", To: &c.MinCalls},
		{Key: "window", To: &c.Window},
		{Key: "open_for", To: &c.OpenFor},
		{Key: "max_open_for", To: &c.MaxOpenFor},
		{Key: "probes", To: &c.Probes},
		{Key: "probe_timeout", To: &c.ProbeTimeout},
		{Key: "no_spans", To: &c.NoSpans},
	}
}

// UnmarshalJSON reads {"failure_ratio": 0.2, "open_for": "10s", …}. Fields that hold functions or providers have no
// JSON form and stay as they are.
func (c *Config) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c Config) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }
