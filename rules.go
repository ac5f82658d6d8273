package holdfast

import (
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// rules are what Check looks for. Each looks at the whole stack.
var rules = []func(*Stack) []Finding{
	attemptBeyondTotal,
	hedgeAfterDeadline,
	windowTooShort,
	breakerOutsideRetry,
	bulkheadOutsideRetry,
	retriesInTwoLayers,
	twiceWhatMustNot,
	breakerNeverOpens,
	fallbackInside,
}

// limit is a bound on the time of what is below it.
type limit struct {
	of    *layer // nil: the callers' deadline
	after time.Duration
	word  string
}

// limitsAbove are the bounds on the time that the layer at index i has for one call.
func (s *Stack) limitsAbove(i int) (all []limit) {
	if d := s.traffic.Deadline; d > 0 {
		all = append(all, limit{nil, d, fmt.Sprintf("the callers' deadline of %v", d)})
	}
	for j := range s.layers[:i] {
		l := &s.layers[j]
		if each := l.attemptTimeout(); each > 0 {
			all = append(all, limit{l, each, fmt.Sprintf("the AttemptTimeout of %v above it", each)})
		}
		if l.kind != ofRetry || !l.on() {
			continue
		}
		if total := l.retry.Config().MaxElapsed; total > 0 {
			all = append(all, limit{l, total, fmt.Sprintf("the MaxElapsed of %v above it", total)})
		}
	}
	return all
}

// attemptTimeout is how long a layer gives what is below it, each time; 0: as long as it takes.
func (l *layer) attemptTimeout() time.Duration {
	if l.kind == ofRetry && l.on() {
		return l.retry.Config().AttemptTimeout
	}
	if group, ok := l.other.(several); ok {
		_, each := group.tries()
		return each
	}
	return 0
}

// attempts is how often a layer runs what is below it, at the most, for one call; 0: no bound is known.
func (l *layer) attempts() int {
	switch {
	case !l.on():
		return 1
	case l.kind == ofRetry:
		return max(l.retry.Config().MaxAttempts, 0)
	case l.kind == ofHedge:
		return 1 + l.hedge.Config().MaxHedges
	case l.kind != ofOther:
		return 1
	}
	if group, ok := l.other.(several); ok {
		n, _ := group.tries()
		return n
	}
	if _, ok := l.other.(answers); ok {
		return 1
	}
	return 0
}

// finding is one about a layer that has no time left by the limit. What the callers' deadline makes useless may be of use to
// others; what the stack itself makes useless cannot work, unless it is only a start, to be learned better.
func (b limit) finding(rule string, l *layer, reason, change string) Finding {
	f := found(rule, b.with(l), reason, change)
	f.Fatal = b.of != nil && (l.kind != ofHedge || l.hedge.Config().Delay > 0)
	return f
}

func (b limit) with(l *layer) []*layer {
	if b.of == nil {
		return []*layer{l}
	}
	return []*layer{b.of, l}
}

// attemptBeyondTotal: one attempt that hangs takes all the time there is.
func attemptBeyondTotal(s *Stack) (all []Finding) {
	for i := range s.layers {
		l := &s.layers[i]
		if group, ok := l.other.(several); ok {
			all = append(all, s.targetBeyondTotal(i, group)...)
		}
		if l.kind != ofRetry || !l.on() {
			continue
		}
		c := l.retry.Config()
		if c.AttemptTimeout <= 0 || c.MaxAttempts == 1 {
			continue
		}
		limits := s.limitsAbove(i)
		if c.MaxElapsed > 0 {
			limits = append(limits, limit{nil, c.MaxElapsed, fmt.Sprintf("its MaxElapsed of %v", c.MaxElapsed)})
		}
		for _, b := range limits {
			if c.AttemptTimeout >= b.after {
				all = append(all, b.finding("attempt-beyond-total", l,
					fmt.Sprintf("an attempt may take %v, %s is over by then, and there is no second one", c.AttemptTimeout, b.word),
					fmt.Sprintf("set AttemptTimeout to a third of %v or less", b.after)))
			}
		}
	}
	return all
}

// targetBeyondTotal is the same of a group: a target that hangs is the only one that is tried. It does work otherwise: targets
// that fail at once, and those that have been found to hang.
func (s *Stack) targetBeyondTotal(i int, group several) (all []Finding) {
	tries, each := group.tries()
	if tries == 1 || each <= 0 || group.size() == 1 { // there is no other
		return nil
	}
	for _, b := range s.limitsAbove(i) {
		if each >= b.after {
			all = append(all, found("attempt-beyond-total", b.with(&s.layers[i]),
				fmt.Sprintf("an attempt at one target may take %v, %s is over by then, and no other target is tried", each, b.word),
				fmt.Sprintf("set AttemptTimeout to half of %v or less", b.after)))
		}
	}
	return all
}

// hedgeAfterDeadline: when the hedge would start, nobody waits any more.
func hedgeAfterDeadline(s *Stack) (all []Finding) {
	for i := range s.layers {
		l := &s.layers[i]
		if l.kind != ofHedge || !l.on() {
			continue
		}
		c := l.hedge.Config()
		delay, field, or := c.Delay, "Delay", ", or leave Delay out, to be learned"
		if delay == 0 { // it is learned
			delay, field, or = c.FirstDelay, "FirstDelay", ""
			if c.MinDelay > delay {
				delay, field = c.MinDelay, "MinDelay"
			}
		}
		for _, b := range s.limitsAbove(i) {
			if delay >= b.after {
				all = append(all, b.finding("hedge-after-deadline", l,
					fmt.Sprintf("a second attempt would start after %v, and %s is over by then", delay, b.word),
					fmt.Sprintf("set %s well below %v%s", field, b.after, or)))
			}
		}
	}
	return all
}

// windowTooShort: calls that time out together are not in the window together.
func windowTooShort(s *Stack) (all []Finding) {
	for i := range s.layers {
		l := &s.layers[i]
		if l.kind != ofBreaker || !l.on() {
			continue
		}
		c := l.breaker.Config()
		if !hasRatio(&c) {
			continue
		}
		for j := range s.layers {
			if a := s.layers[j].attemptTimeout(); a > 0 && c.Window/2 < a && !s.endsSooner(i, j) {
				all = append(all, found("window-too-short", ordered(s, i, j),
					fmt.Sprintf("attempts may take %v, and the window of %v has forgotten the first that timed out when the next do", a, c.Window),
					fmt.Sprintf("set Window to %v or more", doubled(a))))
			}
		}
	}
	return all
}

// hasRatio reports whether there is something that a breaker counts in its window.
func hasRatio(c *breaker.Config) bool { return c.FailureRatio >= 0 || hasSlowRatio(c) }

func hasSlowRatio(c *breaker.Config) bool { return c.SlowAfter > 0 && c.SlowRatio >= 0 }

// endsSooner reports whether what comes to the layer at index i never takes as long as the attempts of the one at index j, as
// there is a shorter limit around it.
func (s *Stack) endsSooner(i, j int) bool {
	a := s.layers[j].attemptTimeout()
	for k := range s.layers[:i] {
		if each := s.layers[k].attemptTimeout(); each > 0 && each < a {
			return true
		}
	}
	return false
}

// ordered are two layers, the outer one first.
func ordered(s *Stack, i, j int) []*layer {
	return []*layer{&s.layers[min(i, j)], &s.layers[max(i, j)]}
}

// breakerOutsideRetry: it sees calls, not attempts.
func breakerOutsideRetry(s *Stack) (all []Finding) {
	s.pairs(ofBreaker, ofRetry, func(outer, inner *layer) {
		if n := inner.retry.Config().MaxAttempts; n != 1 {
			many := fmt.Sprint(n)
			if n < 0 {
				many = "any number of"
			}
			all = append(all, found("breaker-outside-retry", []*layer{outer, inner},
				fmt.Sprintf("the breaker counts once what has failed %s times, and while it is closed each call makes %s attempts at what is down", many, many),
				"put the breaker inside of the retry, unless it is to count calls"))
		}
	})
	return all
}

// bulkheadOutsideRetry: places are taken by calls that wait.
func bulkheadOutsideRetry(s *Stack) (all []Finding) {
	s.pairs(ofBulkhead, ofRetry, func(outer, inner *layer) {
		if c := inner.retry.Config(); c.MaxAttempts != 1 && (c.BaseDelay > 0 || c.Backoff != nil) {
			all = append(all, found("bulkhead-outside-retry", []*layer{outer, inner},
				"a call keeps its place while it waits for its next attempt, when the dependency does nothing for it",
				"put the bulkhead inside of the retry, unless it is to bound calls"))
		}
	})
	return all
}

// retriesInTwoLayers: the outer one repeats next to nothing, or too much.
func retriesInTwoLayers(s *Stack) (all []Finding) {
	s.pairs(ofRetry, ofRetry, func(outer, inner *layer) {
		if outer.attempts() == 1 || inner.attempts() == 1 { // one of them is there for its limits
			return
		}
		all = append(all, found("retries-in-two-layers", []*layer{outer, inner},
			"what the inner one has given up the outer one does not repeat; what it has not repeated the outer one does, with delays of its own",
			"retry in one layer, next to what fails"))
	})
	return all
}

// twiceWhatMustNot: work that must not be done twice.
func twiceWhatMustNot(s *Stack) (all []Finding) {
	if !s.traffic.NotIdempotent {
		return nil
	}
	for i := range s.layers {
		l := &s.layers[i]
		_, group := l.other.(several)
		switch {
		case l.kind == ofHedge && l.on():
			all = append(all, found("twice-what-must-not", []*layer{l},
				"a call that is slow is made again beside the first, and both may be done",
				"leave the hedge out, or make the work idempotent"))
		case group && l.attempts() > 1:
			all = append(all, found("twice-what-must-not", []*layer{l},
				"a call that failed at one target is made again at another, and may have been done at both",
				"set MaxTries to 1, let FailoverIf say yes only to what proves that nothing was done, or make the work idempotent"))
		case l.kind == ofRetry && l.attempts() != 1:
			all = append(all, found("twice-what-must-not", []*layer{l},
				"a call whose answer was lost is made again, and may have been done",
				"leave the retry out, let RetryIf say yes only to what proves that nothing was done, or make the work idempotent"))
		}
	}
	return all
}

// breakerNeverOpens: the ratio counts from MinCalls in a Window on.
func breakerNeverOpens(s *Stack) (all []Finding) {
	perSecond := s.traffic.PerSecond
	if !(perSecond > 0) {
		return nil
	}
	for i := range s.layers {
		l := &s.layers[i]
		if l.kind != ofBreaker || !l.on() {
			continue
		}
		c := l.breaker.Config()
		rate, burst := s.arrivals(i)
		seen := rate*c.Window.Seconds() + burst
		if !hasRatio(&c) || seen >= float64(c.MinCalls) {
			continue
		}
		at := fmt.Sprintf("%g calls/s", perSecond)
		if rate != perSecond {
			at += fmt.Sprintf(", %g attempts/s,", rate)
		}
		instead := "it never opens"
		if c.ConsecutiveFailures > 0 {
			instead = fmt.Sprintf("this opens after %d failures in a row, %v", c.ConsecutiveFailures, span(c.ConsecutiveFailures, rate).Round(time.Millisecond))
		}
		all = append(all, found("breaker-never-opens", []*layer{l},
			fmt.Sprintf("at %s there are never %d in %v, so that the ratio does not count; %s", at, c.MinCalls, c.Window, instead),
			fmt.Sprintf("set MinCalls to %d or less, or Window to %v or more", max(int(seen), 1), wholeSeconds(span(c.MinCalls, rate)))))
	}
	return all
}

// arrivals is how many attempts a second come to the layer at index i, at the most, when all fail; and how many more may have
// come at once, where a rate limit lets a burst pass.
func (s *Stack) arrivals(i int) (rate, burst float64) {
	rate = s.traffic.PerSecond
	for j := range s.layers[:i] {
		l := &s.layers[j]
		n := l.attempts()
		if n == 0 {
			return math.Inf(1), 0
		}
		rate, burst = rate*float64(n), burst*float64(n)
		if l.kind == ofBulkhead && l.on() {
			if c := l.bulkhead.Config(); c.Rate > 0 && float64(c.Rate) < rate {
				rate, burst = float64(c.Rate), float64(c.Burst)
			}
		}
	}
	return rate, burst
}

// span is how long it takes until n have come.
func span(n int, perSecond float64) time.Duration {
	const longest = 1 << 62
	return time.Duration(min(float64(n)/perSecond*float64(time.Second), longest))
}

// wholeSeconds are never less than d.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// fallbackInside: what is around a fallback sees no failure.
func fallbackInside(s *Stack) (all []Finding) {
	for i := range s.layers {
		inner := &s.layers[i]
		if _, ok := inner.other.(answers); !ok {
			continue
		}
		for j := range s.layers[:i] {
			outer := &s.layers[j]
			useless := ""
			switch {
			case !outer.on():
			case outer.kind == ofRetry && outer.attempts() != 1:
				useless = "it never makes a second attempt"
			case outer.kind == ofBreaker:
				useless = "it never opens"
			default:
				if _, ok := outer.other.(several); ok {
					useless = "it never moves on to another target"
				}
			}
			if useless != "" {
				all = append(all, found("fallback-inside", []*layer{outer, inner},
					"the fallback makes a success of each failure, so that what is around it hears of none: "+useless,
					"put the fallback outside"))
			}
		}
	}
	return all
}

// pairs calls do for each pair of layers of these kinds of which one is around the other.
func (s *Stack) pairs(outer, inner kind, do func(outer, inner *layer)) {
	for i := range s.layers {
		for j := i + 1; j < len(s.layers); j++ {
			if a, b := &s.layers[i], &s.layers[j]; a.kind == outer && b.kind == inner && a.on() && b.on() {
				do(a, b)
			}
		}
	}
}

// on reports whether a layer is not a nil policy, which lets all pass.
func (l *layer) on() bool {
	switch l.kind {
	case ofRetry:
		return l.retry != nil
	case ofBreaker:
		return l.breaker != nil
	case ofBulkhead:
		return l.bulkhead != nil
	case ofHedge:
		return l.hedge != nil
	}
	return true
}
