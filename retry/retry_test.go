package retry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/retry"
)

// plain is an error with the methods that policies look for.
type plain struct {
	refused, exhausted bool
	after              time.Duration
}

func (e *plain) Error() string             { return "plain" }
func (e *plain) Refused() bool             { return e.refused }
func (e *plain) Exhausted() bool           { return e.exhausted }
func (e *plain) RetryAfter() time.Duration { return e.after }

// TestDo says what follows a function that fails with the given errors, one an attempt, the last one for ever.
func TestDo(t *testing.T) {
	other := errors.New("other")
	for _, test := range []struct {
		name     string
		config   retry.Config
		errs     []error
		attempts int
		reason   error // nil: success
	}{
		{"success at once", retry.Config{}, []error{nil}, 1, nil},
		{"success at the third", retry.Config{}, []error{errBoom, errBoom, nil}, 3, nil},
		{"three are all", retry.Config{}, []error{errBoom}, 3, retry.ErrAttempts},
		{"ten", retry.Config{MaxAttempts: 10}, []error{errBoom}, 10, retry.ErrAttempts},
		{"one", retry.Config{MaxAttempts: 1}, []error{errBoom}, 1, retry.ErrAttempts},
		{"no bound but the time", retry.Config{MaxAttempts: -1, BaseDelay: time.Second, Backoff: retry.Constant(time.Second), MaxElapsed: 10*time.Second - 1}, []error{errBoom}, 10, retry.ErrDeadline},
		{"permanent", retry.Config{}, []error{errBoom, backoff.Permanent(errBoom)}, 2, retry.ErrNotRetryable},
		{"permanent, whatever RetryIf says", retry.Config{RetryIf: func(error) bool { return true }}, []error{backoff.Permanent(errBoom)}, 1, retry.ErrNotRetryable},
		{"wrapped", retry.Config{}, []error{fmt.Errorf("x: %w", backoff.Permanent(errBoom))}, 1, retry.ErrNotRetryable},
		{"a refusal", retry.Config{}, []error{&plain{refused: true}}, 1, retry.ErrNotRetryable},
		{"not a refusal after all", retry.Config{}, []error{&plain{}}, 3, retry.ErrAttempts},
		{"exhausted below", retry.Config{}, []error{fmt.Errorf("x: %w", &plain{exhausted: true})}, 1, retry.ErrNotRetryable},
		{"joined", retry.Config{}, []error{errors.Join(errBoom, &plain{exhausted: true})}, 1, retry.ErrNotRetryable},
		{"somebody else's cancellation", retry.Config{}, []error{context.Canceled}, 1, retry.ErrNotRetryable},
		{"RetryIf", retry.Config{RetryIf: func(err error) bool { return err == errBoom }}, []error{errBoom, other}, 2, retry.ErrNotRetryable},
		{"the schedule ends", retry.Config{MaxAttempts: 9, Backoff: func() backoff.BackOff {
			return backoff.WithMaxRetries(&backoff.ZeroBackOff{}, 3)
		}}, []error{errBoom}, 4, retry.ErrAttempts},
		{"a Backoff that returns none", retry.Config{Backoff: func() backoff.BackOff { return nil }}, []error{errBoom}, 3, retry.ErrAttempts},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := retry.MustNew(test.config)
				n := 0
				var numbers []int
				last := error(nil)
				v, err := retry.Do(t.Context(), p, func(ctx context.Context) (int, error) {
					numbers = append(numbers, retry.AttemptFrom(ctx))
					last = test.errs[min(n, len(test.errs)-1)]
					n++
					return n, last
				})
				if n != test.attempts || v != n {
					t.Errorf("%d attempts, value %d: want %d and the last one's", n, v, test.attempts)
				}
				for i, number := range numbers {
					if number != i+1 {
						t.Errorf("AttemptFrom: %v", numbers)
					}
				}
				if test.reason == nil {
					if err != nil {
						t.Errorf("error %v", err)
					}
					return
				}
				var failed *retry.Error
				if !errors.As(err, &failed) || failed.Attempts != n || !errors.Is(err, test.reason) || !errors.Is(err, last) {
					t.Errorf("got %#v, want %d attempts, because %v, with %v", err, n, test.reason, last)
				}
			})
		})
	}
}

// Three layers of three attempts make three calls.
func TestLayersDoNotMultiply(t *testing.T) {
	n := 0
	fn := func(context.Context) (int, error) { n++; return 0, errBoom }
	for _, name := range []string{"inner", "middle", "outer"} {
		p, below := retry.MustNew(retry.Config{Name: name, BaseDelay: -1}), fn
		fn = func(ctx context.Context) (int, error) { return retry.Do(ctx, p, below) }
	}
	_, err := fn(context.Background())
	if n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	if !errors.Is(err, errBoom) || !errors.Is(err, retry.ErrAttempts) {
		t.Errorf("got %v", err)
	}
	if got := err.Error(); got != "retry outer: not worth a retry after 1 attempt: retry middle: not worth a retry after 1 attempt: retry inner: attempts exhausted after 3 attempts: boom" {
		t.Errorf("text %q", got)
	}
}

// A policy of one attempt below does not switch off the one above: it has retried nothing.
func TestSingleAttemptBelow(t *testing.T) {
	inner, outer := retry.MustNew(retry.Config{MaxAttempts: 1}), retry.MustNew(retry.Config{BaseDelay: -1})
	n := 0
	outer.Run(context.Background(), func(ctx context.Context) error {
		return inner.Run(ctx, func(context.Context) error { n++; return errBoom })
	})
	if n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

// delays returns what was waited between the attempts of one call.
func delays(ctx context.Context, c retry.Config, fail error) (got []time.Duration, err error) {
	last := time.Time{}
	_, err = retry.Do(ctx, retry.MustNew(c), func(context.Context) (int, error) {
		if !last.IsZero() {
			got = append(got, time.Since(last))
		}
		last = time.Now()
		return 0, fail
	})
	return got, err
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ceilings := []time.Duration{100, 200, 400, 800, 1000, 1000, 1000}
		for range 200 {
			got, _ := delays(t.Context(), retry.Config{MaxAttempts: 8, MaxDelay: time.Second}, errBoom)
			for i, d := range got {
				if d < 0 || d > ceilings[i]*time.Millisecond {
					t.Fatalf("delay %d: %v, want at most %v", i, d, ceilings[i]*time.Millisecond)
				}
			}
		}
		if got, _ := delays(t.Context(), retry.Config{MaxAttempts: 4, BaseDelay: -1}, errBoom); !slices.Equal(got, make([]time.Duration, 3)) {
			t.Errorf("no delay: %v", got)
		}
		if got, _ := delays(t.Context(), retry.Config{Backoff: retry.Constant(time.Second)}, errBoom); !slices.Equal(got, []time.Duration{time.Second, time.Second}) {
			t.Errorf("constant: %v", got)
		}
	})
}

// RetryAfter is a floor: never cut short by the jitter, and capped.
func TestRetryAfterIsAFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			config      retry.Config
			asks        time.Duration
			least, most time.Duration
		}{
			{retry.Config{}, 7 * time.Second, 7 * time.Second, 7*time.Second + 200*time.Millisecond},
			{retry.Config{BaseDelay: -1}, 7 * time.Second, 7 * time.Second, 7 * time.Second},
			{retry.Config{}, 1<<63 - 1, 30 * time.Second, 30*time.Second + 200*time.Millisecond},
			{retry.Config{MaxRetryAfter: time.Second}, time.Hour, time.Second, time.Second + 200*time.Millisecond},
			{retry.Config{MaxRetryAfter: -1}, time.Hour, 0, 200 * time.Millisecond},
			{retry.Config{}, -time.Hour, 0, 200 * time.Millisecond},
			{retry.Config{Backoff: retry.Constant(1<<63 - 1)}, time.Hour, 1<<63 - 1, 1<<63 - 1},
		} {
			if test.least == 1<<63-1 { // an absurd schedule: no overflow, and no way to wait it out
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				if _, err := delays(ctx, test.config, &plain{after: test.asks}); !errors.Is(err, retry.ErrDeadline) {
					t.Errorf("%+v: %v", test, err)
				}
				cancel()
				continue
			}
			got, _ := delays(t.Context(), test.config, &plain{after: test.asks})
			for _, d := range got {
				if d < test.least || d > test.most {
					t.Errorf("asked for %v: waited %v, want %v to %v", test.asks, d, test.least, test.most)
				}
			}
		}
	})
}

// A deadline that cannot be met is not slept towards.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		got, err := delays(ctx, retry.Config{MaxAttempts: 9, Backoff: retry.Constant(time.Second)}, errBoom)
		if len(got) != 1 || !errors.Is(err, retry.ErrDeadline) || !errors.Is(err, errBoom) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("delays %v, error %v", got, err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v: want it back as soon as the next delay is too long", d)
		}
	})
}

// The attempt timeout ends an attempt and not the call; MaxElapsed ends both.
func TestTimeLimits(t *testing.T) {
	hang := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	synctest.Test(t, func(t *testing.T) {
		start, n := time.Now(), 0
		p := retry.MustNew(retry.Config{AttemptTimeout: time.Second, Backoff: retry.Constant(time.Minute)})
		v, err := retry.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			if n++; n < 3 {
				return hang(ctx)
			}
			return 7, nil
		})
		if v != 7 || err != nil || time.Since(start) != 2*time.Second+2*time.Minute {
			t.Errorf("%d, %v after %v", v, err, time.Since(start))
		}
		start = time.Now()
		p = retry.MustNew(retry.Config{MaxElapsed: 3 * time.Second, MaxAttempts: -1, BaseDelay: -1})
		_, err = retry.Do(t.Context(), p, hang)
		if !errors.Is(err, retry.ErrDeadline) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// The caller's own deadline is the caller's: no retry, whatever is left of the attempt's.
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		n = 0
		_, err = retry.Do(ctx, retry.MustNew(retry.Config{AttemptTimeout: time.Second}), func(ctx context.Context) (int, error) { n++; return hang(ctx) })
		if n != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}

// OnRetry is told before each delay.
func TestOnRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []retry.Event
		start := time.Now()
		p := retry.MustNew(retry.Config{Name: "x", Backoff: retry.Constant(time.Second), OnRetry: func(e retry.Event) {
			if since := time.Since(start); since != time.Duration(len(got))*time.Second {
				t.Errorf("event %d after %v: want it before the delay", len(got), since)
			}
			got = append(got, e)
		}})
		p.Run(t.Context(), func(context.Context) error { return errBoom })
		want := []retry.Event{{Name: "x", Attempt: 1, Delay: time.Second, Err: errBoom}, {Name: "x", Attempt: 2, Delay: time.Second, Err: errBoom}}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestSnapshot(t *testing.T) {
	budget, _ := retry.NewBudget(retry.BudgetConfig{Capacity: 3, Floor: -1})
	p := retry.MustNew(retry.Config{Name: "x", BaseDelay: -1, Budget: budget})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	p.Run(ctx, func(context.Context) error { return nil })
	p.Run(ctx, func(context.Context) error { return errBoom })                         // takes two tokens
	p.Run(ctx, func(context.Context) error { n++; return []error{errBoom, nil}[n-1] }) // takes one
	p.Run(ctx, func(context.Context) error { return errBoom })                         // there is none
	p.Run(ctx, func(context.Context) error { return backoff.Permanent(errBoom) })
	p.Run(ctx, func(context.Context) error { return &plain{exhausted: true} })
	p.Run(ctx, func(context.Context) error { cancel(); return ctx.Err() })
	p.Run(ctx, func(context.Context) error { t.Error("called"); return nil })
	s := p.Snapshot()
	if s.Calls != 8 || s.Successes != 2 || s.Failures != 4 || s.Ignored != 2 || s.Attempts != 10 || s.Retries != 3 {
		t.Errorf("got %+v", s)
	}
	for reason, n := range map[string]uint64{"max_attempts": 1, "budget": 1, "deadline": 0, "not_retryable": 1, "exhausted_below": 1} {
		if s.Suppressed[reason] != n {
			t.Errorf("suppressed by %s: %d, want %d", reason, s.Suppressed[reason], n)
		}
	}
	if s.Budget != 0.125 {
		t.Errorf("budget %v, want what the last success left", s.Budget)
	}
}
