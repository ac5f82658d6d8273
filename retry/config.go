package retry

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Config says how to retry. The zero Config is usable: three attempts, full jitter from 100 ms up to 5 s.
type Config struct {
	// Name labels errors and telemetry.
	Name string

	// MaxAttempts bounds the attempts of one call, the first included. Default 3; negative: no bound but the
	// caller's deadline, MaxElapsed and the Budget.
	MaxAttempts int

	// BaseDelay and MaxDelay are the schedule: the delay before retry n (from 0) is drawn evenly from 0 to
	// min(MaxDelay, BaseDelay*2^n), which spreads callers that failed together ("full jitter": Brooker, AWS 2015).
	// Default 100 ms, or MaxDelay if that is shorter, and 5 s; negative BaseDelay: no delay.
	BaseDelay, MaxDelay time.Duration

	// Backoff is another schedule, in place of BaseDelay and MaxDelay: it returns a fresh one for each call that
	// fails at least once. backoff.Stop ends the call; MaxAttempts counts all the same. See [Constant] and [FullJitter];
	// any backoff.BackOff will do.
	Backoff func() backoff.BackOff

	// AttemptTimeout bounds each attempt, through its context. The limit stops when the attempt returns a success, so
	// that rows or a stream can be read after it; in a [Transport] it runs on until the response's body is closed. A longer
	// limit that fn sets on a context below its own stops with it: package context leaves that to the shorter one above.
	// Default: none.
	AttemptTimeout time.Duration

	// MaxElapsed bounds the whole call, delays included: no retry is waited for past it, and an attempt under way
	// is ended by its context, in a [Transport] the reading of the body too. Default: none but the caller's deadline.
	MaxElapsed time.Duration

	// MaxRetryAfter caps what an error may ask for through RetryAfter() time.Duration. Default 30 s; negative: such
	// wishes are not heard.
	MaxRetryAfter time.Duration

	// RetryIf says which errors are worth another attempt. Default: [Retryable], which one of your own should nearly
	// always ask first: without it, refusals and what is exhausted below are retried. It is not asked about
	// backoff.Permanent and the caller's own cancellation, which never are.
	RetryIf func(error) bool

	// Budget bounds retries as a share of successes, over many calls and policies. Default: none. In production,
	// give every policy that guards the same dependency the same Budget.
	Budget *Budget

	// OnRetry is called before each delay, in the caller's goroutine. A panic in it reaches the caller.
	OnRetry func(Event)

	// RepeatRequest says whether an HTTP request may be sent again after something may have reached the server.
	// Default: an idempotent method (RFC 9110, 9.2.2), or an Idempotency-Key header. Whatever it says, a request
	// whose body cannot be made anew is sent once.
	RepeatRequest func(*http.Request) bool

	// PrepareRequest is called with the request of each attempt after the first, before it is sent: to sign it anew,
	// say. The request is the attempt's own. An error ends the call.
	PrepareRequest func(*http.Request) error

	// BufferBody is up to how many bytes of a request body without GetBody are kept in memory so that it can be sent
	// again. A longer body is streamed, and sent once. Default: none is kept.
	BufferBody int64

	// NoAttemptHeader leaves out the Holdfast-Attempt header, which tells the server that a request is a repeat. It is
	// sent from the second attempt on.
	NoAttemptHeader bool

	// NoAttemptSpans leaves out the span of each attempt, for functions that make one of their own.
	NoAttemptSpans bool

	TracerProvider trace.TracerProvider // nil: the global one at the time of the call
	MeterProvider  metric.MeterProvider // likewise
	Logger         *slog.Logger         // nil: silent
}

// Event is a retry about to be made.
type Event struct {
	Name    string        // of the policy
	Attempt int           // that failed, from 1
	Delay   time.Duration // before the next
	Err     error         // of the attempt that failed
}

const (
	defaultAttempts      = 3
	defaultBaseDelay     = 100 * time.Millisecond
	defaultMaxDelay      = 5 * time.Second
	defaultMaxRetryAfter = 30 * time.Second

	mostBuffered = 1 << 40
)

// check reports every field that cannot work.
func (c *Config) check() error {
	f := conf.Check("retry.Config")
	f.Want(c.MaxDelay >= 0, "MaxDelay", c.MaxDelay, "above zero (default 5s); for no delay set BaseDelay below zero")
	f.Want(c.AttemptTimeout >= 0, "AttemptTimeout", c.AttemptTimeout, "above zero, or zero for none")
	f.Want(c.MaxElapsed >= 0, "MaxElapsed", c.MaxElapsed, "above zero, or zero for none")
	f.Want(c.BufferBody >= 0 && c.BufferBody <= mostBuffered, "BufferBody", c.BufferBody, "bytes, at most 2^40, or zero for none")
	if c.BaseDelay > 0 && c.MaxDelay > 0 {
		f.Want(c.BaseDelay <= c.MaxDelay, "BaseDelay", c.BaseDelay, "at most MaxDelay ("+c.MaxDelay.String()+")")
	}
	if c.MaxDelay == 0 && c.BaseDelay > defaultMaxDelay {
		f.Want(false, "BaseDelay", c.BaseDelay, "at most MaxDelay (default 5s)")
	}
	if c.AttemptTimeout > 0 && c.MaxElapsed > 0 {
		f.Want(c.AttemptTimeout <= c.MaxElapsed, "AttemptTimeout", c.AttemptTimeout, "at most MaxElapsed ("+c.MaxElapsed.String()+")")
	}
	return f.Err()
}

// spelled replaces zero by the documented default.
func (c Config) spelled() Config {
	c.MaxAttempts = conf.Or(c.MaxAttempts, defaultAttempts)
	c.MaxDelay = conf.Or(c.MaxDelay, defaultMaxDelay)
	c.BaseDelay = min(conf.Or(c.BaseDelay, defaultBaseDelay), c.MaxDelay) // a default base under a shorter cap
	c.MaxRetryAfter = conf.Or(c.MaxRetryAfter, defaultMaxRetryAfter)
	if c.RetryIf == nil {
		c.RetryIf = Retryable
	}
	return c
}

// withDefaults replaces zero by the documented default and negative by none.
func (c Config) withDefaults() Config {
	c = c.spelled()
	c.BaseDelay = max(c.BaseDelay, 0)
	c.MaxRetryAfter = max(c.MaxRetryAfter, 0)
	return c
}

// settings are a checked Config as a policy uses it: with its defaults, and none as zero. They are immutable.
type settings struct {
	Config
	given Config // with defaults in place of zeros
	bare  bool   // a success at once is counted, and that is all: no limit, no budget
}

func (c Config) settings() *settings {
	s := &settings{Config: c.withDefaults(), given: c.spelled()}
	s.bare = s.AttemptTimeout <= 0 && s.MaxElapsed <= 0 && s.Budget == nil
	return s
}

func (c *Config) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "max_attempts", To: &c.MaxAttempts},
		{Key: "base_delay", To: &c.BaseDelay},
		{Key: "max_delay", To: &c.MaxDelay},
		{Key: "attempt_timeout", To: &c.AttemptTimeout},
		{Key: "max_elapsed", To: &c.MaxElapsed},
		{Key: "max_retry_after", To: &c.MaxRetryAfter},
		{Key: "buffer_body", To: &c.BufferBody},
		{Key: "no_attempt_header", To: &c.NoAttemptHeader},
		{Key: "no_attempt_spans", To: &c.NoAttemptSpans},
	}
}

// UnmarshalJSON reads {"max_attempts": 4, "base_delay": "50ms", …}. Fields that hold functions or providers have
// no JSON form and stay as they are.
func (c *Config) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c Config) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }
