package holdfast

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// Description is what a stack may do in the worst case.
type Description struct {
	Name   string
	Layers []LayerDescription // the outermost first

	// Calls is how many calls the dependency may get for one call through the stack; 0: no bound is known.
	Calls int

	// Time is how long one call through the stack may take, if fn heeds its context; 0: until the caller's own deadline.
	Time time.Duration

	// Concurrency is how many calls of fn may run at a time, if those that a hedge has lost end at once; 0: no bound is known.
	Concurrency int

	// Memory is how many bytes the policies hold at most, about, with all their queues full; the goroutines of calls, and what
	// fn and an HTTP form hold, come on top. 0: not known, for there is a Runner in it that is not of holdfast.
	Memory int
}

// LayerDescription is one policy of a stack.
type LayerDescription struct {
	Kind string // retry, breaker, bulkhead, hedge, failover; or the Go type
	Name string // of the policy
	Text string // as in String: "retry(3, 100ms..5s)"
}

// Describe returns what the stack may do in the worst case.
func (s *Stack) Describe() Description {
	if s = s.flat(); s == nil {
		return Description{Calls: 1}
	}
	d := Description{Name: s.name}
	for _, l := range s.layers {
		d.Layers = append(d.Layers, LayerDescription{Kind: l.word(), Name: l.name(), Text: l.String()})
	}
	w := worst{plain: 1, calls: 1}
	for i := len(s.layers) - 1; i >= 0; i-- {
		w = s.layers[i].over(w)
	}
	d.Calls, d.Time = w.calls, w.time
	d.Concurrency = s.concurrency()
	d.Memory = s.memory()
	return d
}

// worst is the worst case of a part of a stack.
type worst struct {
	plain int           // calls, if it ends with an error that a retry above may repeat; 0: no bound
	calls int           // calls, whatever it ends with; likewise
	time  time.Duration // 0: no bound
}

// over is the worst case of a layer around a part.
func (l *layer) over(w worst) worst {
	if !l.on() {
		return w
	}
	switch l.kind {
	case ofRetry:
		c := l.retry.Config()
		return overRetry(&c, w)
	case ofHedge:
		n := 1 + l.hedge.Config().MaxHedges
		return worst{times(w.plain, n), times(w.calls, n), times(w.time, n)}
	case ofBulkhead:
		if c := l.bulkhead.Config(); c.Queue > 0 {
			w.time = plus(w.time, c.MaxWait) // 0: until the caller's deadline
		}
		return w
	case ofBreaker:
		return w
	}
	if _, ok := l.other.(answers); ok {
		return w
	}
	group, ok := l.other.(several)
	if !ok {
		return worst{}
	}
	n, each := group.tries()
	w = w.within(each)
	return worst{times(w.plain, n), times(w.calls, n), times(w.time, n)}
}

// within is the worst case of a part that has a limit of time. What the limit has ended is not exhausted: who has set it
// decides, and may repeat all of it.
func (w worst) within(limit time.Duration) worst {
	if limit <= 0 {
		return w
	}
	if w.time == 0 || limit < w.time {
		w.time = limit
	}
	w.plain = w.calls
	return w
}

// overRetry is the worst case of a retry around a part. What is exhausted below it does not repeat: of two retries the outer
// one repeats only what the inner one has tried once. But a RetryIf of one's own may say otherwise.
func overRetry(c *retry.Config, w worst) worst {
	w = w.within(c.AttemptTimeout).within(c.MaxElapsed)
	if reflect.ValueOf(c.RetryIf).Pointer() != reflect.ValueOf(retry.Retryable).Pointer() {
		w.plain = w.calls
	}
	if c.MaxAttempts != 1 {
		w.calls = plus(times(w.plain, c.MaxAttempts-1), w.calls)
	}
	w.time = retryTime(c, w.time)
	return w
}

// times and plus treat 0 as no bound, and so do they what is too large.
func times[T int | time.Duration](a T, n int) T {
	if a <= 0 || n <= 0 || a > most[T]()/T(n) {
		return 0
	}
	return a * T(n)
}

func plus[T int | time.Duration](a, b T) T {
	if a <= 0 || b <= 0 || a > most[T]()-b {
		return 0
	}
	return a + b
}

func most[T int | time.Duration]() T {
	if _, ok := any(T(0)).(time.Duration); ok {
		large := int64(math.MaxInt64)
		return T(large)
	}
	return math.MaxInt32
}

// retryTime is how long a retry may take whose attempts take so long.
func retryTime(c *retry.Config, attempt time.Duration) time.Duration {
	total := times(attempt, c.MaxAttempts)
	if c.MaxAttempts > 1 && total > 0 {
		total = afterDelays(c, total)
	}
	if c.MaxElapsed > 0 && (total == 0 || c.MaxElapsed < total) {
		return c.MaxElapsed
	}
	return total
}

// afterDelays adds the longest delays between the attempts: what the jitter adds, and what the error asks for.
func afterDelays(c *retry.Config, total time.Duration) time.Duration {
	if c.Backoff != nil {
		return 0
	}
	delay, asked := max(c.BaseDelay, 0), max(c.MaxRetryAfter, 0)
	for left := c.MaxAttempts - 1; left > 0; left-- {
		if delay == 0 || delay >= c.MaxDelay { // all that are left are alike
			if longest := min(delay, c.MaxDelay) + asked; longest != 0 { // below zero if that is too long
				total = plus(total, times(longest, left))
			}
			return total
		}
		total = plus(total, delay+asked)
		delay = doubled(delay)
	}
	return total
}

func doubled(d time.Duration) time.Duration {
	if d > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return 2 * d
}

// concurrency is the bound that the bulkheads set, times the attempts that may run beside each other below them.
func (s *Stack) concurrency() int {
	n := 0
	for i := range s.layers {
		l := &s.layers[i]
		if !l.on() {
			continue
		}
		switch l.kind {
		case ofBulkhead:
			if limit := mostAtOnce(l.bulkhead); n == 0 || limit < n {
				n = limit
			}
		case ofHedge:
			n = times(n, 1+l.hedge.Config().MaxHedges)
		case ofOther:
			_, group := l.other.(several) // makes its attempts one after the other
			if _, answer := l.other.(answers); !group && !answer {
				n = 0
			}
		}
	}
	return n
}

// mostAtOnce is the limit of a bulkhead, or where that is found while it runs, the most that it may be.
func mostAtOnce(b *bulkhead.Bulkhead) int {
	c := b.Config()
	if c.Adaptive != nil {
		return max(c.Adaptive.Max, c.Limit)
	}
	return c.Limit
}

// String is the stack on one line: users: retry(3, 100ms..5s) → breaker(50% of 20 in 10s) → bulkhead(64).
func (s *Stack) String() string {
	if s = s.flat(); s == nil {
		return "no stack"
	}
	texts := make([]string, len(s.layers))
	for i := range s.layers {
		texts[i] = s.layers[i].String()
	}
	text := strings.Join(texts, " → ")
	if text == "" {
		text = "nothing"
	}
	if s.name != "" {
		text = oneLine(s.name) + ": " + text
	}
	return text
}

// oneLine is text on one line: names come from documents, and may be anything.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// Mermaid is the stack as a flowchart in Mermaid's notation.
func (s *Stack) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n    caller([caller])")
	if s = s.flat(); s != nil {
		for i := range s.layers {
			l := &s.layers[i]
			label := mermaidText.Replace(l.String())
			if name := l.name(); name != "" {
				label = mermaidText.Replace(oneLine(name)) + "<br/>" + label
			}
			fmt.Fprintf(&b, " --> p%d[\"%s\"]", i+1, label)
		}
	}
	b.WriteString(" --> fn([fn])\n")
	return b.String()
}

// mermaidText is what stands for the text itself: no entity, no directive, no HTML, no Markdown.
var mermaidText = strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "#", "#35;", "%%", "#37;#37;", "`", "#96;")

// word is the kind of a layer.
func (l *layer) word() string {
	switch l.kind {
	case ofRetry:
		return "retry"
	case ofBreaker:
		return "breaker"
	case ofBulkhead:
		return "bulkhead"
	case ofHedge:
		return "hedge"
	}
	if _, ok := l.other.(several); ok {
		return "failover"
	}
	if _, ok := l.other.(answers); ok {
		return "fallback"
	}
	return fmt.Sprintf("%T", l.other)
}

// name is the policy's own.
func (l *layer) name() string {
	switch l.kind {
	case ofRetry:
		return l.retry.Config().Name
	case ofBreaker:
		return l.breaker.Config().Name
	case ofBulkhead:
		return l.bulkhead.Config().Name
	case ofHedge:
		return l.hedge.Config().Name
	}
	if group, ok := l.other.(several); ok {
		return group.nameOf()
	}
	return ""
}

// String is the layer in a few words.
func (l *layer) String() string {
	switch {
	case !l.on():
		return l.word() + "(off)"
	case l.kind == ofRetry:
		c := l.retry.Config()
		return retryText(&c)
	case l.kind == ofBreaker:
		c := l.breaker.Config()
		return breakerText(&c)
	case l.kind == ofBulkhead:
		c := l.bulkhead.Config()
		return bulkheadText(&c)
	case l.kind == ofHedge:
		c := l.hedge.Config()
		return hedgeText(&c)
	}
	if s, ok := l.other.(fmt.Stringer); ok {
		return oneLine(s.String())
	}
	return l.word()
}

func retryText(c *retry.Config) string {
	delays := fmt.Sprintf("%v..%v", c.BaseDelay, c.MaxDelay)
	switch {
	case c.Backoff != nil:
		delays = "own backoff"
	case c.BaseDelay < 0:
		delays = "no delay"
	}
	attempts := fmt.Sprint(c.MaxAttempts)
	if c.MaxAttempts < 0 {
		attempts = "no limit"
	}
	s := fmt.Sprintf("retry(%s, %s", attempts, delays)
	if c.AttemptTimeout > 0 {
		s += fmt.Sprintf(", %v each", c.AttemptTimeout)
	}
	if c.MaxElapsed > 0 {
		s += fmt.Sprintf(", %v in all", c.MaxElapsed)
	}
	return s + ")"
}

func breakerText(c *breaker.Config) string {
	var rules []string
	if c.FailureRatio >= 0 {
		rules = append(rules, fmt.Sprintf("%s of %d in %v", percent(c.FailureRatio), c.MinCalls, c.Window))
	}
	if hasSlowRatio(c) {
		rules = append(rules, fmt.Sprintf("%s above %v", percent(c.SlowRatio), c.SlowAfter))
	}
	switch {
	case len(rules) > 0:
	case c.ConsecutiveFailures < 0:
		rules = append(rules, "never")
	default:
		rules = append(rules, fmt.Sprintf("%d in a row", c.ConsecutiveFailures))
	}
	return "breaker(" + strings.Join(rules, ", ") + ")"
}

func bulkheadText(c *bulkhead.Config) string {
	s := fmt.Sprintf("bulkhead(%d", c.Limit)
	if c.Adaptive != nil {
		s = fmt.Sprintf("bulkhead(adaptive, now %d", c.Limit)
	}
	if c.Queue > 0 {
		s += fmt.Sprintf(" + %d", c.Queue)
	}
	if c.Rate > 0 {
		s += fmt.Sprintf(", %g/s", float64(c.Rate))
	}
	return s + ")"
}

func hedgeText(c *hedge.Config) string {
	delay := fmt.Sprintf("after p%g", math.Round(c.Quantile*10000)/100)
	switch {
	case c.Delay > 0:
		delay = fmt.Sprintf("after %v", c.Delay)
	case c.Delay < 0:
		delay = "at once"
	}
	s := fmt.Sprintf("hedge(%d %s", c.MaxHedges, delay)
	if c.MaxExtraLoad >= 0 {
		s += ", +" + percent(c.MaxExtraLoad)
	}
	return s + ")"
}

func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }
