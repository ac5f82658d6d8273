package retry

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/internal/stripe"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// counts are what a policy has done. They are its own, whether or not anybody looks.
type counts struct {
	atOnce   stripe.Counter // first attempts that succeeded: the one count of the good path
	attempts [2][telemetry.Lost]stripe.Counter
	failed   atomic.Uint64 // calls that failed for good
	ignored  atomic.Uint64 // calls that the caller cancelled
	denied   [len(suppressions)]atomic.Uint64
}

// suppressions are why retries were not made, in the words of telemetry.
var suppressions = [...]string{"max_attempts", "budget", "deadline", "not_retryable", "exhausted_below"}

func (c *counts) attempt(k telemetry.AttemptKind, o telemetry.Outcome) {
	c.attempts[k][o].Add()
}

func (c *counts) suppress(why, err error) {
	c.denied[suppression(why, err)].Add(1)
}

func suppression(why, err error) int {
	switch {
	case why == ErrAttempts:
		return 0
	case why == ErrBudget:
		return 1
	case why == ErrDeadline:
		return 2
	case failure.Exhausted(err):
		return 4
	default:
		return 3
	}
}

// Snapshot is what a policy has done since New: to look at, and to log. It has a JSON form. Calls = Successes + Failures + Ignored, once none is under way.
type Snapshot struct {
	Name       string            `json:"name"`
	At         time.Time         `json:"at"`
	Calls      uint64            `json:"calls"`
	Successes  uint64            `json:"successes"`  // at the first attempt or a later one
	Failures   uint64            `json:"failures"`   // for good
	Ignored    uint64            `json:"ignored"`    // cancelled by the caller
	Attempts   uint64            `json:"attempts"`   // runs of fn
	Retries    uint64            `json:"retries"`    // the runs after the first
	Suppressed map[string]uint64 `json:"suppressed"` // why there was no retry: max_attempts, budget, deadline, not_retryable, exhausted_below
	Budget     float64           `json:"budget"`     // tokens left, or 0 without a Budget
}

// Snapshot returns what the policy has done. It is safe for concurrent use; the numbers of calls under way may
// not add up yet.
func (p *Policy) Snapshot() Snapshot {
	if p == nil {
		return Snapshot{}
	}
	set := p.set.Load()
	s := Snapshot{Name: set.Name, At: time.Now(), Suppressed: make(map[string]uint64, len(suppressions))}
	p.counts.each(func(k telemetry.AttemptKind, o telemetry.Outcome, n uint64) {
		s.Attempts += n
		if k == telemetry.Retry {
			s.Retries += n
		}
		if o == telemetry.Success {
			s.Successes += n
		}
	})
	s.Failures, s.Ignored = p.counts.failed.Load(), p.counts.ignored.Load()
	s.Calls = s.Successes + s.Failures + s.Ignored
	for i, word := range suppressions {
		s.Suppressed[word] = p.counts.denied[i].Load()
	}
	if set.Budget != nil {
		s.Budget = set.Budget.Available()
	}
	return s
}

func (c *counts) each(do func(telemetry.AttemptKind, telemetry.Outcome, uint64)) {
	for k := range c.attempts {
		for o := range c.attempts[k] {
			n := c.attempts[k][o].Load()
			if kind, outcome := telemetry.AttemptKind(k), telemetry.Outcome(o); kind == telemetry.Initial && outcome == telemetry.Success {
				n += c.atOnce.Load()
			}
			do(telemetry.AttemptKind(k), telemetry.Outcome(o), n)
		}
	}
}

// source is a Policy as telemetry sees it.
type source Policy

// Observe implements telemetry.Source.
func (p *source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	p.counts.each(func(k telemetry.AttemptKind, o telemetry.Outcome, n uint64) {
		put(telemetry.Attempts, float64(n), telemetry.Kind(k), telemetry.AttemptOutcome(o))
	})
	for i, word := range suppressions {
		put(telemetry.Suppressed, float64(p.counts.denied[i].Load()), telemetry.SuppressReason(word))
	}
	if budget := p.set.Load().Budget; budget != nil {
		put(telemetry.BudgetAvailable, budget.Available())
	}
}
