package main

import (
	"fmt"
	"net/url"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// books are what a policy says became of its calls.
type books struct{ successes, failures, ignored, refused uint64 }

func (b books) calls() uint64 { return b.successes + b.failures + b.ignored + b.refused }

// watched is a policy in a stack, the tap above it, and what it says of itself.
type watched struct {
	name    string
	policy  holdfast.Runner
	tap     *tap
	books   func() books
	held    func() string // what has not come back; empty: nothing
	columns columns
}

// columns are how much the tap knows of what the books should have, beside the sum.
type columns uint8

const (
	sums   columns = iota // nothing: in a Handler there are no errors
	bounds                // in a Transport, a response may be a success or not; an error is none, and a panic a failure
	exact                 // of functions, what has no error is a success
)

func watchRetry(p *retry.Policy) watched {
	return watched{policy: p, books: func() books {
		s := p.Snapshot()
		return books{s.Successes, s.Failures, s.Ignored, 0}
	}}
}

func watchHedge(p *hedge.Policy) watched {
	return watched{policy: p, books: func() books {
		s := p.Snapshot()
		return books{s.Successes, s.Failures, s.Ignored, 0}
	}}
}

func watchBreaker(b *breaker.Breaker) watched {
	return watched{
		policy: b,
		books: func() books {
			s := b.Snapshot()
			return books{s.Successes, s.Failures, s.Ignored, s.Refused}
		},
		held: func() string {
			if n := b.Snapshot().Probing; n != 0 {
				return fmt.Sprintf("%d probes are under way", n)
			}
			return ""
		},
	}
}

func watchBulkhead(b *bulkhead.Bulkhead) watched {
	return watched{
		policy: b,
		books: func() books {
			s := b.Snapshot()
			return books{s.Successes, s.Failures, s.Ignored, s.Refused}
		},
		held: func() string {
			if s := b.Snapshot(); s.InUse != 0 || s.Queued != 0 {
				return fmt.Sprintf("%d places are taken, and %d calls wait", s.InUse, s.Queued)
			}
			return ""
		},
	}
}

func watchGroup(g *failover.Group[*url.URL]) watched {
	return watched{
		policy: holdfast.OneOf(g),
		books: func() books {
			s := g.Snapshot()
			return books{s.Successes, s.Failures, s.Ignored, s.Refused}
		},
		held: func() string {
			for _, t := range g.Snapshot().Targets {
				if t.InFlight != 0 {
					return fmt.Sprintf("%d calls are under way at target %s", t.InFlight, t.Name)
				}
			}
			return ""
		},
	}
}

// unsettled is what is not in order when no call is under way any more; empty: nothing.
func (w *watched) unsettled() string {
	if n := w.tap.running.Load(); n != 0 {
		return fmt.Sprintf("%s: %d calls have not returned", w.name, n)
	}
	if w.held != nil {
		if what := w.held(); what != "" {
			return w.name + ": " + what
		}
	}
	return w.unbalanced()
}

// unbalanced is what the books have otherwise than the tap; empty: nothing.
func (w *watched) unbalanced() string {
	b := w.books()
	seen := fmt.Sprintf("%s: the books have %d successes, %d failures, %d ignored, %d refused", w.name, b.successes, b.failures, b.ignored, b.refused)
	well := w.tap.ended[well].Load()
	switch made := w.tap.calls(); {
	case b.calls() != made:
		return fmt.Sprintf("%s, which is %d calls; %d were made", seen, b.calls(), made)
	case w.columns >= bounds && b.successes > well, w.columns == exact && b.successes != well:
		return fmt.Sprintf("%s; %d calls came back without an error", seen, well)
	case w.columns >= bounds && b.failures < w.tap.ended[panicked].Load():
		return fmt.Sprintf("%s; %d calls have panicked", seen, w.tap.ended[panicked].Load())
	}
	return ""
}
