package bulkhead

import (
	"log/slog"
	"math"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Config says how many calls may run at a time, how many may wait, and how often. [Bulkhead.Reconfigure] changes it.
type Config struct {
	// Name labels errors and telemetry.
	Name string

	// Limit is how many calls run at a time, from 1 to 1,000,000. Required, unless Adaptive is set; then it is where the
	// search begins, if Adaptive does not say so. [Bulkhead.Resize] changes it.
	Limit int

	// Queue is how many calls may wait for a place. Default 0: a call that finds no place is refused at once.
	Queue int

	// MaxWait is how long a call may wait. Default: until its context's deadline.
	MaxWait time.Duration

	// Interval and Target are the answer to a queue that does not keep up, so that those who come out of it are not those
	// who have given up. Who came first goes first, until the queue has not been empty for an Interval and somebody has
	// waited for more than Target. Then who came last goes first, and whenever a place becomes free those who have
	// waited for more than Target are refused. (Controlled delay with adaptive LIFO: Maurer, Fail at Scale, ACM Queue
	// 2015, with 100 ms and 5 ms.) Default: those, or 10 and 3 times what a call takes on average, if that is longer. Where
	// callers wait for less than 10 times that, a third of how long they wait is a better Target. Interval below zero: who
	// came first goes first, always.
	Interval, Target time.Duration

	// Rate is how many calls may begin in a second, on average, and Burst how many at once. Default: no bound; Burst: a
	// second's worth. With a Queue, calls wait for their turn; it costs a lock for each call.
	Rate  rate.Limit
	Burst int

	// Adaptive, if not nil, finds the limit from latency.
	Adaptive *Adaptive

	// Exempt says which requests of a [Handler] or a [Transport] need no place: the health checks of an orchestrator that
	// would kill a busy server, connections that stay for hours. Default: none. [ExemptPaths] makes one.
	Exempt func(*http.Request) bool

	// RequestPriority is the priority of a [Handler]'s request. Default: what its header says, [HeaderPriority]. Where
	// requests come from strangers, set it: they would all be Critical.
	RequestPriority func(*http.Request) Priority

	// ReleaseAtHeader gives a [Transport]'s place back when the response's header is there. Default: when its body is
	// closed or has been read to its end, because until then the server is at work on it.
	ReleaseAtHeader bool

	// NoSpans leaves out the span of each call, for functions that make one of their own.
	NoSpans bool

	TracerProvider trace.TracerProvider // nil: the global one at the time of the call
	MeterProvider  metric.MeterProvider // likewise
	Logger         *slog.Logger         // nil: silent
}

const (
	leastInterval = 100 * time.Millisecond
	leastTarget   = 5 * time.Millisecond

	// As multiples of what a call takes: what loses least in experiment E12, below and above capacity.
	intervalCalls, targetCalls = 10, 3

	maxLimit = 1_000_000
	shortest = time.Microsecond
)

// check reports every field that cannot work.
func (c *Config) check(f *conf.Faults) {
	if c.Adaptive == nil {
		f.Want(c.Limit >= 1 && c.Limit <= maxLimit, "Limit", c.Limit, "at least 1 and at most 1000000, or Adaptive")
	} else {
		most := c.Adaptive.most()
		f.Want(c.Limit >= 0 && (c.Limit <= most || most < 0), "Limit", c.Limit, "at most Adaptive.Max, or 0 for Adaptive's own start")
		c.Adaptive.check(f)
	}
	f.Want(c.Queue >= 0 && c.Queue <= maxLimit, "Queue", c.Queue, "at least 0 and at most 1000000")
	f.Want(c.MaxWait == 0 || c.MaxWait >= shortest, "MaxWait", c.MaxWait, "at least 1µs, or zero for the context's deadline")
	f.Want(c.Interval <= 0 || c.Interval >= shortest, "Interval", c.Interval, "at least 1µs, or below zero for never (default 100ms or 10 calls)")
	f.Want(c.Target == 0 || c.Target >= shortest, "Target", c.Target, "at least 1µs (default 5ms or 3 calls)")
	f.Want(c.Rate >= 0 && c.Rate <= rate.Inf, "Rate", c.Rate, "above 0, or zero for no bound")
	f.Want(c.Burst >= 0 && c.Burst <= math.MaxInt32, "Burst", c.Burst, "at least 1 and at most 2147483647 (default a second's worth)")
	f.Want(c.Burst <= 0 || c.Rate != 0, "Burst", c.Burst, "zero while there is no Rate")
}

// settings are a checked Config with its defaults, as the bulkhead uses it. They are immutable: Reconfigure puts others in
// their place. The bulkheads of a keyed set share one.
type settings struct {
	limit, queue     int
	maxWait          time.Duration
	interval, target time.Duration // 0: from what is measured
	inOrder          bool          // who came first goes first, always
	rate             rate.Limit
	burst            int
	adaptive         *Adaptive
	overloaded       func(error) bool
	exempt           func(*http.Request) bool
	requestPriority  func(*http.Request) Priority
	releaseAtHeader  bool
	spans            bool
}

func newSettings(c Config) *settings {
	s := &settings{
		limit: c.Limit, queue: c.Queue, maxWait: c.MaxWait,
		interval: max(c.Interval, 0), target: c.Target, inOrder: c.Interval < 0,
		rate: c.Rate, burst: c.Burst,
		exempt: c.Exempt, requestPriority: c.RequestPriority,
		releaseAtHeader: c.ReleaseAtHeader,
		spans:           !c.NoSpans,
	}
	if s.burst == 0 {
		s.burst = int(min(max(math.Ceil(float64(c.Rate)), 1), math.MaxInt32))
	}
	if s.requestPriority == nil {
		s.requestPriority = HeaderPriority
	}
	if c.Adaptive != nil {
		a := *c.Adaptive // the caller's own may change
		if a.Initial == 0 {
			a.Initial = c.Limit
		}
		s.adaptive = &a
		s.overloaded = a.Overloaded
		if s.overloaded == nil {
			s.overloaded = overloadSignal
		}
	}
	return s
}

// config is the Config that would lead to these settings.
func (s *settings) config() Config {
	c := Config{
		Limit: s.limit, Queue: s.queue, MaxWait: s.maxWait, Interval: s.interval, Target: s.target,
		Rate: s.rate, Burst: s.burst, Exempt: s.exempt, RequestPriority: s.requestPriority,
		ReleaseAtHeader: s.releaseAtHeader, NoSpans: !s.spans,
	}
	if s.inOrder {
		c.Interval = -1
	}
	if s.rate == 0 {
		c.Burst = 0
	}
	if s.adaptive != nil {
		a := *s.adaptive
		a.Min, a.Max = conf.Or(a.Min, defaultMin), a.most()
		c.Adaptive = &a
	}
	return c
}

// UnmarshalJSON reads {"name": "slots", "limit": 64, "queue": 128, "max_wait": "250ms"} and so on: the fields that have
// a JSON form under their names in snake case, durations as text. Fields that are absent stay as they are; a field that
// nobody knows is an error.
func (c *Config) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c Config) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

func (c *Config) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "limit", To: &c.Limit},
		{Key: "queue", To: &c.Queue},
		{Key: "max_wait", To: &c.MaxWait},
		{Key: "interval", To: &c.Interval},
		{Key: "target", To: &c.Target},
		{Key: "rate", To: &c.Rate},
		{Key: "burst", To: &c.Burst},
		{Key: "adaptive", To: &c.Adaptive},
		{Key: "release_at_header", To: &c.ReleaseAtHeader},
		{Key: "no_spans", To: &c.NoSpans},
	}
}
