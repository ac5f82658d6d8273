package holdfast_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// harm is a stack that a rule is against, and what it does; and the stack after the change that the finding asks for, to which
// nothing of the kind happens.
type harm struct {
	rule         string
	text         string // what the finding says, in part
	wrong, right func() *holdfast.Stack
	happens      func(t *testing.T, s *holdfast.Stack) bool
}

func retries(c retry.Config) *retry.Policy {
	if c.BaseDelay == 0 {
		c.BaseDelay = -1
	}
	return retry.MustNew(c)
}

var harms = []harm{
	{
		rule: "attempt-beyond-total",
		text: "an attempt may take 1s, the callers' deadline of 500ms is over by then, and there is no second one; set AttemptTimeout to a third of 500ms or less",
		wrong: func() *holdfast.Stack {
			return one(retries(retry.Config{AttemptTimeout: time.Second}), 500*time.Millisecond)
		},
		right: func() *holdfast.Stack {
			return one(retries(retry.Config{AttemptTimeout: 150 * time.Millisecond}), 500*time.Millisecond)
		},
		happens: func(t *testing.T, s *holdfast.Stack) bool { // the first attempt hangs, the second would do
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var n atomic.Int32
			err := s.Run(ctx, func(ctx context.Context) error {
				if n.Add(1) > 1 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			})
			return err != nil
		},
	},
	{
		rule: "hedge-after-deadline",
		text: "a second attempt would start after 1s, and the callers' deadline of 500ms is over by then; set Delay well below 500ms",
		wrong: func() *holdfast.Stack {
			return one(hedge.MustNew(hedge.Config{Delay: time.Second}), 500*time.Millisecond)
		},
		right: func() *holdfast.Stack {
			return one(hedge.MustNew(hedge.Config{Delay: 50 * time.Millisecond}), 500*time.Millisecond)
		},
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			return s.Run(ctx, func(ctx context.Context) error {
				if hedge.AttemptFrom(ctx) > 1 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}) != nil
		},
	},
	{
		rule: "window-too-short",
		text: "attempts may take 1s, and the window of 1s has forgotten the first that timed out when the next do; set Window to 2s or more",
		wrong: func() *holdfast.Stack {
			return holdfast.MustStack(retries(retry.Config{AttemptTimeout: time.Second, MaxAttempts: 2}),
				breaker.MustNew(breaker.Config{Window: time.Second, MinCalls: 4, ConsecutiveFailures: -1}))
		},
		right: func() *holdfast.Stack {
			return holdfast.MustStack(retries(retry.Config{AttemptTimeout: time.Second, MaxAttempts: 2}),
				breaker.MustNew(breaker.Config{Window: 10 * time.Second, MinCalls: 4, ConsecutiveFailures: -1}))
		},
		happens: func(t *testing.T, s *holdfast.Stack) bool { // all attempts time out, and it does not open
			for range 10 {
				err := s.Run(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
				if errors.Is(err, breaker.ErrOpen) {
					return false
				}
			}
			return true
		},
	},
	{
		rule: "breaker-outside-retry",
		text: "the breaker counts once what has failed 3 times",
		wrong: func() *holdfast.Stack {
			return holdfast.MustStack(breaker.MustNew(breaker.Config{ConsecutiveFailures: 3}), retries(retry.Config{}))
		},
		right: func() *holdfast.Stack {
			return holdfast.MustStack(retries(retry.Config{}), breaker.MustNew(breaker.Config{ConsecutiveFailures: 3}))
		},
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			attempts := 0
			for range 10 {
				_ = s.Run(t.Context(), func(context.Context) error { attempts++; return errDown })
			}
			return attempts > 3
		},
	},
	{
		rule: "bulkhead-outside-retry",
		text: "a call keeps its place while it waits for its next attempt",
		wrong: func() *holdfast.Stack {
			return holdfast.MustStack(bulkhead.MustNew(bulkhead.Config{Limit: 1}), retry.MustNew(retry.Config{Backoff: retry.Constant(time.Second)}))
		},
		right: func() *holdfast.Stack {
			return holdfast.MustStack(retry.MustNew(retry.Config{Backoff: retry.Constant(time.Second)}), bulkhead.MustNew(bulkhead.Config{Limit: 1}))
		},
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			over := make(chan struct{})
			go func() {
				defer close(over)
				_ = s.Run(t.Context(), func(context.Context) error { return errDown })
			}()
			synctest.Wait() // it waits for its next attempt
			err := s.Run(t.Context(), func(context.Context) error { return nil })
			<-over
			return errors.Is(err, bulkhead.ErrFull)
		},
	},
	{
		rule: "retries-in-two-layers",
		text: "what the inner one has given up the outer one does not repeat",
		wrong: func() *holdfast.Stack {
			return holdfast.MustStack(retries(retry.Config{MaxAttempts: 5}), retries(retry.Config{MaxAttempts: 2}))
		},
		right: func() *holdfast.Stack { return holdfast.MustStack(retries(retry.Config{MaxAttempts: 5})) },
		happens: func(t *testing.T, s *holdfast.Stack) bool { // the outer one says five attempts, and the third would do
			n := 0
			return s.Run(t.Context(), func(context.Context) error {
				if n++; n < 3 {
					return errDown
				}
				return nil
			}) != nil
		},
	},
	{
		rule:  "twice-what-must-not",
		text:  "a call that is slow is made again beside the first, and both may be done",
		wrong: func() *holdfast.Stack { return unrepeatable(hedge.MustNew(hedge.Config{Delay: time.Second})) },
		right: func() *holdfast.Stack { return unrepeatable() },
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			var done atomic.Int32
			_ = s.Run(t.Context(), func(context.Context) error {
				time.Sleep(3 * time.Second) // it does not look at its context
				done.Add(1)
				return nil
			})
			time.Sleep(time.Minute)
			return done.Load() > 1
		},
	},
	{
		rule:  "twice-what-must-not",
		text:  "a call whose answer was lost is made again, and may have been done",
		wrong: func() *holdfast.Stack { return unrepeatable(retries(retry.Config{})) },
		right: func() *holdfast.Stack { return unrepeatable(retries(retry.Config{MaxAttempts: 1})) },
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			done := 0
			_ = s.Run(t.Context(), func(context.Context) error { done++; return errDown })
			return done > 1
		},
	},
	{
		rule:  "breaker-never-opens",
		text:  "at 1 calls/s there are never 20 in 10s, so that the ratio does not count; it never opens; set MinCalls to 10 or less, or Window to 20s or more",
		wrong: func() *holdfast.Stack { return slow(breaker.Config{ConsecutiveFailures: -1}) },
		right: func() *holdfast.Stack { return slow(breaker.Config{ConsecutiveFailures: -1, MinCalls: 8}) },
		happens: func(t *testing.T, s *holdfast.Stack) bool { // all calls fail, and it does not open
			for range 100 {
				if err := s.Run(t.Context(), func(context.Context) error { return errDown }); errors.Is(err, breaker.ErrOpen) {
					return false
				}
				time.Sleep(time.Second)
			}
			return true
		},
	},
	{
		rule:  "fallback-inside",
		text:  "the fallback makes a success of each failure, so that what is around it hears of none: it never makes a second attempt; put the fallback outside",
		wrong: func() *holdfast.Stack { return holdfast.MustStack(retries(retry.Config{}), cached()) },
		right: func() *holdfast.Stack { return holdfast.MustStack(cached(), retries(retry.Config{})) },
		happens: func(t *testing.T, s *holdfast.Stack) bool { // the second attempt would do
			n := 0
			got, _ := holdfast.Do(t.Context(), s, func(context.Context) (string, error) {
				if n++; n == 1 {
					return "", errDown
				}
				return "fresh", nil
			})
			return got == "stale"
		},
	},
	{
		rule: "fallback-inside",
		text: "it never opens",
		wrong: func() *holdfast.Stack {
			return holdfast.MustStack(breaker.MustNew(breaker.Config{ConsecutiveFailures: 3}), cached())
		},
		right: func() *holdfast.Stack {
			return holdfast.MustStack(cached(), breaker.MustNew(breaker.Config{ConsecutiveFailures: 3}))
		},
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			attempts := 0
			for range 10 {
				holdfast.Do(t.Context(), s, func(context.Context) (string, error) { attempts++; return "", errDown })
			}
			return attempts > 3
		},
	},
	{
		rule:  "fallback-inside",
		text:  "it never moves on to another target",
		wrong: func() *holdfast.Stack { return holdfast.MustStack(two(), cached()) },
		right: func() *holdfast.Stack { return holdfast.MustStack(cached(), two()) },
		happens: func(t *testing.T, s *holdfast.Stack) bool {
			got, _ := holdfast.Do(t.Context(), s, func(ctx context.Context) (string, error) {
				if target, _ := holdfast.Target[string](ctx); target == "a" {
					return "", errDown
				}
				return "fresh", nil
			})
			return got == "stale"
		},
	},
}

func cached() holdfast.Runner {
	return holdfast.Fallback(func(context.Context, error) (string, error) { return "stale", nil })
}

func two() holdfast.Runner {
	return holdfast.OneOf(failover.MustNew(failover.Config[string]{Targets: []failover.Target[string]{{Name: "a", Value: "a"}, {Name: "b", Value: "b"}}}))
}

func one(p holdfast.Runner, deadline time.Duration) *holdfast.Stack {
	return holdfast.MustStack(p).For(holdfast.Traffic{Deadline: deadline})
}

func unrepeatable(ps ...holdfast.Runner) *holdfast.Stack {
	return holdfast.MustStack(ps...).For(holdfast.Traffic{NotIdempotent: true})
}

func slow(c breaker.Config) *holdfast.Stack {
	return holdfast.MustStack(breaker.MustNew(c)).For(holdfast.Traffic{PerSecond: 1})
}

// Each rule finds what does the harm, and nothing once that has been changed; and the harm is real.
func TestFindings(t *testing.T) {
	for _, h := range harms {
		t.Run(h.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := h.wrong()
				all := s.Check()
				i := slices.IndexFunc(all, func(f holdfast.Finding) bool { return f.Rule == h.rule })
				if i < 0 || !strings.Contains(all[i].Error(), h.text) || len(all[i].Policies) == 0 {
					t.Errorf("%v: found %v\nwant %s: %s", s, all, h.rule, h.text)
				}
				if !h.happens(t, s) {
					t.Errorf("%v does no harm", s)
				}
				s = h.right()
				if slices.ContainsFunc(s.Check(), func(f holdfast.Finding) bool { return f.Rule == h.rule }) {
					t.Errorf("%v: found %v", s, s.Check())
				}
				if h.happens(t, s) {
					t.Errorf("%v does the same harm", s)
				}
			})
		})
	}
}

// What the documentation recommends has no findings, and nil policies have none either.
func TestNothingFound(t *testing.T) {
	recommended := holdfast.MustStack(
		retry.MustNew(retry.Config{AttemptTimeout: time.Second}), hedge.MustNew(hedge.Config{}), breaker.MustNew(breaker.Config{}),
		bulkhead.MustNew(bulkhead.Config{Limit: 64}),
	).For(holdfast.Traffic{PerSecond: 100, Deadline: 10 * time.Second})
	off := holdfast.MustStack((*breaker.Breaker)(nil), (*bulkhead.Bulkhead)(nil), (*retry.Policy)(nil), (*retry.Policy)(nil), (*hedge.Policy)(nil))
	for _, s := range []*holdfast.Stack{recommended, off.For(holdfast.Traffic{PerSecond: 1, Deadline: 1, NotIdempotent: true}), nil} {
		if all := s.Check(); len(all) > 0 {
			t.Errorf("%v: %v", s, all)
		}
	}
	if got, want := off.String(), "breaker(off) → bulkhead(off) → retry(off) → retry(off) → hedge(off)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What the stack itself leaves no time for cannot work; what depends on the callers may.
func TestFatal(t *testing.T) {
	within := retries(retry.Config{AttemptTimeout: time.Second})
	for name, p := range map[string]holdfast.Runner{
		"hedge-after-deadline": hedge.MustNew(hedge.Config{Delay: time.Second}),
		"attempt-beyond-total": retries(retry.Config{AttemptTimeout: 2 * time.Second}),
	} {
		if s, err := holdfast.NewStack(within, p); err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%v, %v, want %s", s, err, name)
		}
		if _, err := holdfast.NewStack(p, within); err != nil {
			t.Errorf("%v in the other order", err)
		}
	}
	learned := hedge.MustNew(hedge.Config{FirstDelay: 2 * time.Second})
	if s, err := holdfast.NewStack(within, learned); err != nil || len(s.Check()) != 1 {
		t.Errorf("%v: a delay that is learned is only a finding", err)
	}
	_, err := holdfast.Load([]byte(`{"stacks": {"a": [{"retry": {"attempt_timeout": "1s"}}, {"hedge": {"delay": "2s"}}]}}`))
	if err == nil || !strings.HasPrefix(err.Error(), "stacks.a: hedge-after-deadline: ") {
		t.Error(err)
	}
	r := registryOf(t, `{"stacks": {"a": [{"hedge": {"delay": "2s"}}]}}`)
	if _, err := r.Apply([]byte(`{"stacks": {"a": [{"retry": {"attempt_timeout": "1s"}}, {"hedge": {"delay": "2s"}}]}}`)); err == nil || !strings.HasPrefix(err.Error(), "stacks.a: hedge-after-deadline: ") {
		t.Error(err)
	}
	if got := stackIn(t, r, "a").String(); got != "a: hedge(1 after 2s, +10%)" {
		t.Errorf("%s after a document that cannot work", got)
	}
}

// What opens by failures in a row says when.
func TestOpensAfter(t *testing.T) {
	s := holdfast.MustStack(breaker.MustNew(breaker.Config{})).For(holdfast.Traffic{PerSecond: 0.5})
	if all := s.Check(); len(all) != 1 || !strings.Contains(all[0].Reason, "this opens after 5 failures in a row, 10s") {
		t.Error(all)
	}
}
